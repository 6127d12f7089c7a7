//! Settings, section by section.

use super::{
    super::{
        answer::Answering,
        endpoint::{Effect, Family, Methods, Need, RequestLine},
        error::{ApiError, ServiceError},
        gate::Granted,
    },
    operation::{AnswerShape, Operation, Shape},
};
use crate::{
    config::{VARS, ValueSource},
    manage::{EditRefusal, Edits, Precondition, settings},
    who::Permission,
    wire::ResponseBody,
};
use api::{
    config::{BootSetting, BootSettings},
    settings::{SettingValues, SettingsList, SettingsPut, SettingsSection},
};
use http::Response;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::get::<SettingsList>("/settings", "list_settings", "List all settings."),
    Operation::get::<BootSettings>("/settings/config", "show_boot_settings", "Show the startup settings in force."),
    Operation::get::<SettingsSection>("/settings/{section}", "show_settings", "Show a section of the settings.")
        .refuses(&[404]),
    Operation::of(
        "PUT",
        "/settings/{section}",
        "put_settings",
        "Replace a section: what is absent gets its default.",
        AnswerShape::One(Shape::of::<SettingsPut>()),
        200,
    )
    .takes::<SettingValues>()
    .previews()
    .refuses(&[400, 404, 409, 412]),
    Operation::of(
        "PATCH",
        "/settings/{section}",
        "update_settings",
        "Change settings; null stands for the default.",
        SECTION,
        200,
    )
    .takes::<SettingValues>()
    .previews()
    .refuses(&[400, 404, 409, 412]),
    Operation::of("POST", "/settings/{section}/reset", "reset_settings", "Give a section its defaults.", SECTION, 200)
        .previews()
        .refuses(&[404, 409, 412]),
];

const SECTION: AnswerShape = AnswerShape::One(Shape::of::<SettingsSection>());

/// A request about settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsEndpoint {
    /// `GET /settings`.
    List,
    /// `GET /settings/config`.
    Boot,
    /// `GET /settings/{section}`.
    Show(String),
    /// `PUT /settings/{section}`.
    Put(String),
    /// `PATCH /settings/{section}`.
    Update(String),
    /// `POST /settings/{section}/reset`.
    Reset(String),
}

// Settings change in the read-only mode too: that mode is one of them.
const ONE: Methods =
    Methods(&[("GET", Effect::Reads), ("HEAD", Effect::Reads), ("PUT", Effect::Reads), ("PATCH", Effect::Reads)]);
const RESET: Methods = Methods(&[("POST", Effect::Reads)]);

impl SettingsEndpoint {
    pub(super) fn parse(line: &RequestLine<'_>) -> Result<Self, ServiceError> {
        let is_read = line.is_read();
        match (line.segments, line.method.as_str()) {
            (["settings"], _) if is_read => Ok(Self::List),
            (["settings", "config"], _) if is_read => Ok(Self::Boot),
            (["settings", section], _) if is_read => Ok(Self::Show((*section).to_owned())),
            (["settings"] | ["settings", "config"], _) => Err(ServiceError::MethodNotAllowed(Methods::READ)),
            (["settings", section], "PUT") => Ok(Self::Put((*section).to_owned())),
            (["settings", section], "PATCH") => Ok(Self::Update((*section).to_owned())),
            (["settings", section, "reset"], "POST") => Ok(Self::Reset((*section).to_owned())),
            (["settings", _], _) => Err(ServiceError::MethodNotAllowed(ONE)),
            (["settings", _, "reset"], _) => Err(ServiceError::MethodNotAllowed(RESET)),
            _ => Err(ApiError::NotFound.into()),
        }
    }
}

impl Family for SettingsEndpoint {
    fn name(&self) -> &'static str {
        match self {
            Self::List => "list_settings",
            Self::Boot => "show_boot_settings",
            Self::Show(_) => "show_settings",
            Self::Put(_) => "put_settings",
            Self::Update(_) => "update_settings",
            Self::Reset(_) => "reset_settings",
        }
    }

    fn needs(&self) -> Need<'_> {
        match self {
            Self::List | Self::Boot | Self::Show(_) | Self::Put(_) | Self::Update(_) | Self::Reset(_) => {
                Need::May(Permission::ADMIN)
            }
        }
    }

    fn methods(&self) -> Methods {
        match self {
            Self::List | Self::Boot => Methods::READ,
            Self::Show(_) | Self::Put(_) | Self::Update(_) => ONE,
            Self::Reset(_) => RESET,
        }
    }

    fn serve(self, granted: Granted) -> Answering {
        Box::pin(async move {
            match self {
                Self::List => list(&granted).await,
                Self::Boot => boot(&granted).await,
                Self::Show(section) => show(&granted, section).await,
                Self::Put(section) => put(granted, section).await,
                Self::Update(section) => update(granted, section).await,
                Self::Reset(section) => reset(granted, section).await,
            }
        })
    }
}

async fn list(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let items = granted.read_files(|manage, _| {
        let sections = settings::sections().into_iter().map(|name| settings::section(manage.editor(), name));
        sections.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
    });
    granted.resource(&SettingsList { items: items.await? })
}

async fn show(granted: &Granted, section: String) -> Result<Response<ResponseBody>, ServiceError> {
    let found = granted.read_files(move |manage, _| settings::section(manage.editor(), &section)).await?;
    granted.resource(&found.ok_or(ApiError::NotFound)?)
}

async fn boot(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let env = granted.read_files(|manage, _| Ok(manage.editor().env())).await?;
    let setting = |var: &crate::config::Var| {
        let value = env.text(var.name).or(var.default).map(str::to_owned);
        let source = match env.source(var.name) {
            None => "default".to_owned(),
            Some(ValueSource::File(path, line)) => format!("{}:{line}", path.display()),
            Some(ValueSource::Environment) => "environment".to_owned(),
            Some(ValueSource::Flag) => "flag".to_owned(),
        };
        (var.name.to_owned(), BootSetting { value, source })
    };
    granted.resource(&BootSettings { values: VARS.iter().map(setting).collect() })
}

async fn put(mut granted: Granted, section: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let values: SettingValues = granted.read_json().await?;
    let target = section.clone();
    let put = move |edits: &Edits| {
        let reset = settings::put(edits, &target, &values, &precondition)?;
        Ok(SettingsPut { section: current(edits, &target)?, reset })
    };
    granted.change_or_preview(section, put).await
}

async fn update(mut granted: Granted, section: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition = granted.write_precondition()?;
    let values: SettingValues = granted.read_json().await?;
    change_section(&granted, section, move |edits, name| settings::patch(edits, name, &values, &precondition)).await
}

async fn reset(granted: Granted, section: String) -> Result<Response<ResponseBody>, ServiceError> {
    let precondition: Precondition = granted.write_precondition()?;
    change_section(&granted, section, move |edits, name| settings::reset(edits, name, &precondition)).await
}

async fn change_section(
    granted: &Granted,
    section: String,
    change: impl FnOnce(&Edits, &str) -> Result<(), EditRefusal> + Clone + Send + 'static,
) -> Result<Response<ResponseBody>, ServiceError> {
    let target = section.clone();
    let change = move |edits: &Edits| {
        change(edits, &target)?;
        current(edits, &target)
    };
    granted.change_or_preview(section, change).await
}

/// A section after a change.
fn current(edits: &Edits, section: &str) -> Result<SettingsSection, EditRefusal> {
    settings::section(edits.editor(), section)?.ok_or(EditRefusal::NotFound)
}
