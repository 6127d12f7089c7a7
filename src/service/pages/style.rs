//! Every component of the pages in both themes, for those who work on them.

use super::{
    super::{error::ServiceError, gate::Granted},
    markup,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use askama::Template;
use http::{Response, StatusCode};

#[derive(Template)]
#[template(path = "style.html")]
struct StyleTemplate {
    shell: Shell,
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    page(StatusCode::OK, &StyleTemplate { shell: Shell::of(granted, "style").await })
}
