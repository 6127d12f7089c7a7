//! An account that a stranger makes for themselves, where the operator allows it.

use super::{
    super::{
        error::{ApiError, ServiceError},
        gate::Granted,
        manage::{ManageEndpoint, UserEndpoint},
    },
    form::PageForm,
    login::{page_to_wait, seconds_to_wait},
    markup,
    shell::{Shell, go_to, page},
};
use crate::{identity::PasswordPolicy, wire::ResponseBody};
use api::users::CreateUser;
use askama::Template;
use http::{Method, Response, StatusCode};

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterTemplate {
    shell: Shell,
    policy: PasswordPolicy,
    user: String,
    email: String,
    error: String,
    /// Seconds until the next try is looked at.
    wait: Option<u64>,
}

impl RegisterTemplate {
    /// # Errors
    /// [`ApiError::NotFound`] if only administrators make accounts.
    async fn of(granted: &Granted) -> Result<Self, ServiceError> {
        if !granted.request.live.may_register() {
            return Err(ApiError::NotFound.into());
        }
        Ok(Self {
            shell: Shell::of(granted, "register").await,
            policy: granted.request.live.passwords,
            user: String::new(),
            email: String::new(),
            error: String::new(),
            wait: None,
        })
    }
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    page(StatusCode::OK, &RegisterTemplate::of(granted).await?)
}

pub(super) async fn register(granted: &Granted, fields: &PageForm) -> Result<Response<ResponseBody>, ServiceError> {
    let mut template = RegisterTemplate::of(granted).await?;
    let name = fields.text("username").trim();
    (template.user, template.email) = (name.to_owned(), fields.text("email").to_owned());
    if fields.text("password") != fields.text("repeated") {
        template.error = "The two passwords differ.".to_owned();
        return page(StatusCode::BAD_REQUEST, &template);
    }
    let asked = CreateUser {
        username: name.to_owned(),
        password: Some(fields.text("password").to_owned()),
        groups: Vec::new(),
        email: fields.owned("email"),
        robot: false,
        ..CreateUser::default()
    };
    let create = ManageEndpoint::User(UserEndpoint::Create);
    let error = match granted.act(create, Method::POST, &[], None, Some(&asked)).await {
        Ok(_) => return Ok(go_to("/login?done=registered")),
        Err(error) => error,
    };
    let status = error.row().status;
    template.wait = seconds_to_wait(&error);
    template.error = match (&error, status) {
        (ServiceError::Api(ApiError::InvalidRequest(problems)), _) => {
            let said = |problem: &api::FieldProblem| {
                format!("{} {}", problem.at.trim_start_matches('/').replace("username", "name"), problem.problem)
            };
            format!("{}.", problems.iter().map(said).collect::<Vec<_>>().join("; "))
        }
        (_, StatusCode::TOO_MANY_REQUESTS) => "Too many accounts were asked for from your address.".to_owned(),
        (_, StatusCode::CONFLICT) => error.message(),
        _ => return Err(error),
    };
    page_to_wait(status, &template, template.wait)
}
