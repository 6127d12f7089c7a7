//! The first page: the registry at a glance.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{DashboardEndpoint, ManageEndpoint, SystemEndpoint},
    },
    markup,
    shell::{Shell, go_to, page},
};
use crate::wire::ResponseBody;
use api::{dashboard::Dashboard, system::SystemInfo};
use askama::Template;
use http::{Response, StatusCode};

/// Namespaces that are shown; the rest is in the list of repositories.
const MOST_NAMESPACES: usize = 24;

#[derive(Template)]
#[template(path = "home.html")]
struct HomeTemplate {
    shell: Shell,
    board: Dashboard,
    login: String,
    more_namespaces: usize,
}

pub(super) async fn show(granted: &Granted) -> Result<Response<ResponseBody>, ServiceError> {
    let mut board: Dashboard = granted.ask(ManageEndpoint::Dashboard(DashboardEndpoint::Show), &[]).await?;
    let shell = Shell::of(granted, "home").await;
    // A stranger for whom nothing is public can only log in.
    if shell.user.is_none() && shell.has_logins && board.total_repositories == 0 {
        return Ok(go_to("/login"));
    }
    let system: SystemInfo = granted.ask(ManageEndpoint::System(SystemEndpoint::Show), &[]).await?;
    board.groups.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    let more_namespaces = board.groups.len().saturating_sub(MOST_NAMESPACES);
    board.groups.truncate(MOST_NAMESPACES);
    page(StatusCode::OK, &HomeTemplate { shell, board, login: system.login, more_namespaces })
}
