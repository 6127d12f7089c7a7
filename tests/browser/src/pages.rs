//! Every page, and how to get there.

use crate::{Result, chrome::Tab, fill};

/// Who looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    Admin,
    /// A user without rights to administer.
    Alice,
    Nobody,
    /// An administrator, where every name is as long as can be.
    Long,
    /// Anybody, where nobody logs in.
    Open,
}

/// A page.
pub struct Place {
    /// Also the name of its picture.
    pub name: &'static str,
    pub viewer: Viewer,
    pub path: String,
    /// What is pressed there, one after the other, to see the page.
    pub pressed: &'static [&'static str],
    /// Whether there are pictures of it dark and on a telephone, too.
    pub is_main: bool,
}

impl Place {
    fn of(name: &'static str, viewer: Viewer, path: impl Into<String>) -> Self {
        Self { name, viewer, path: path.into(), pressed: &[], is_main: false }
    }

    fn main(self) -> Self {
        Self { is_main: true, ..self }
    }

    fn pressed(self, pressed: &'static [&'static str]) -> Self {
        Self { pressed, ..self }
    }

    /// Opens it.
    pub async fn open(&self, tab: &Tab) -> Result<()> {
        tab.go(&self.path).await?;
        for name in self.pressed {
            // A link or button, or else a box to check.
            match name.strip_prefix('+') {
                Some(label) => tab.check(label).await?,
                None => tab.press(name).await?,
            }
        }
        Ok(())
    }
}

/// All pages.
pub fn all() -> Vec<Place> {
    use Viewer::{Admin, Alice, Long, Nobody, Open};
    let of = |name, viewer, path: &str| Place::of(name, viewer, path);
    let (long, tag) = (fill::long_name(), fill::long_tag());
    let (long_repository, long_version, long_path) = fill::long_artifact();
    let long_files = format!("/artifacts/{long_repository}/-/versions/{long_version}");
    let long_directory = long_path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let of_firmware = |rest: &str| format!("/artifacts/crane-firmware{rest}");
    vec![
        of("home", Admin, "/").main(),
        of("home-user", Alice, "/"),
        of("home-long", Long, "/"),
        of("home-empty", Open, "/").main(),
        of("repositories", Admin, "/repositories").main(),
        of("repositories-long", Long, "/repositories"),
        of("repositories-namespace", Admin, "/repositories?namespace=platform"),
        of("repositories-nothing", Admin, "/repositories?q=nothing-like-this"),
        of("repositories-empty", Open, "/repositories"),
        of("new-repository", Admin, "/repositories/-/new").main(),
        of("tags", Admin, "/repositories/platform/api").main(),
        of("tags-selected", Admin, "/repositories/platform/api?q=dev-").pressed(&["+Select all tags on this page"]),
        of("tags-filter-nothing", Admin, "/repositories/platform/api?q=nothing"),
        of("tags-one", Admin, "/repositories/tools/terraform"),
        of("tags-none", Admin, "/repositories/tools/empty"),
        of("tags-long", Long, &format!("/repositories/{long}")),
        of("tags-public", Nobody, "/repositories/library/alpine"),
        of("delete-tags", Admin, "/repositories/platform/api?q=dev-")
            .pressed(&["+Select all tags on this page", "Delete…"])
            .main(),
        of("untagged", Admin, "/repositories/platform/api/-/untagged").main(),
        of("untagged-none", Admin, "/repositories/tools/terraform/-/untagged"),
        of("referrers", Admin, "/repositories/platform/api/-/referrers").main(),
        of("referrers-none", Admin, "/repositories/tools/terraform/-/referrers"),
        of("retention", Admin, "/repositories/platform/api/-/retention").main(),
        of("repository-access", Admin, "/repositories/platform/api/-/access").main(),
        of("repository-settings", Admin, "/repositories/platform/api/-/settings").main(),
        of("manifest-index", Admin, "/repositories/platform/api/-/manifests/2.4.1").main(),
        of("manifest", Admin, "/repositories/platform/api/-/manifests/main").main(),
        of("manifest-chart", Admin, "/repositories/charts/ingress/-/manifests/1.0.1"),
        of("manifest-long", Long, &format!("/repositories/{long}/-/manifests/{tag}")),
        of("manifest-add-tag", Admin, "/repositories/platform/api/-/manifests/main").pressed(&["Add a tag"]),
        of("compare", Admin, "/repositories/platform/web/-/compare?from=1.1.0&to=1.2.0").main(),
        of("compare-long", Long, &format!("/repositories/{long}/-/compare?from=1.0&to={tag}")),
        of("compare-choose", Admin, "/repositories/tools/terraform/-/compare"),
        of("artifacts", Admin, "/artifacts").main(),
        of("artifacts-nothing", Admin, "/artifacts?q=nothing-like-this"),
        of("artifacts-public", Nobody, "/artifacts"),
        of("artifacts-empty", Open, "/artifacts"),
        of("artifacts-long", Long, "/artifacts"),
        of("artifact-new", Admin, "/artifacts/-/new").main(),
        of("artifact-versions", Admin, &of_firmware("")).main(),
        of("artifact-versions-none", Admin, "/artifacts/gate-models"),
        of("artifact-versions-long", Long, &format!("/artifacts/{long_repository}")),
        of("artifact-directory", Admin, &of_firmware("/-/versions/7.10.0")).main(),
        of("artifact-directory-selected", Admin, &of_firmware("/-/versions/7.10.0"))
            .pressed(&["+Select all files on this page"]),
        of("artifact-removal", Admin, &of_firmware("/-/versions/7.10.0"))
            .pressed(&["+Select all files on this page", "Delete"]),
        of("artifact-directory-long", Long, &format!("{long_files}/{long_directory}")),
        of("artifact", Admin, &of_firmware("/-/files/7.10.0/bootloader.bin")).main(),
        of("artifact-edit", Admin, &of_firmware("/-/files/7.10.0/bootloader.bin"))
            .pressed(&["Edit properties", "Edit metadata"]),
        of("artifact-long", Long, &format!("/artifacts/{long_repository}/-/files/{long_version}/{long_path}")),
        of("artifact-public", Nobody, "/artifacts/tide-tables/-/files/2026.11.2/harwich/tide-table-2026-12.csv"),
        of("artifact-search", Admin, &of_firmware("/-/search?p=branch%3Dmain")).main(),
        of("artifact-search-all", Admin, "/artifacts/-/search"),
        of("artifact-search-nothing", Admin, "/artifacts/-/search?q=nothing-like-this"),
        of("artifact-search-refused", Admin, "/artifacts/-/search?p=nothing"),
        of("artifact-search-long", Long, "/artifacts/-/search"),
        of("artifact-upload", Admin, &of_firmware("/-/upload?version=7.11.0")).main(),
        of("artifact-trash", Admin, &of_firmware("/-/trash")).main(),
        of("artifact-trash-none", Admin, "/artifacts/installers/-/trash"),
        of("artifact-trash-long", Long, &format!("/artifacts/{long_repository}/-/trash")),
        of("artifact-retention", Admin, &of_firmware("/-/retention?preview=yes&max_versions=2&keep=branch%3Dnext"))
            .main(),
        of("artifact-retention-long", Long, &format!("/artifacts/{long_repository}/-/retention")),
        of("artifact-settings", Admin, &of_firmware("/-/settings")).main(),
        of("search", Admin, "/search?q=api").main(),
        of("search-nothing", Admin, "/search?q=zzzzzz"),
        of("search-start", Admin, "/search"),
        of("profile", Admin, "/profile").main(),
        of("profile-user", Alice, "/profile"),
        of("migration", Admin, "/migration").main(),
        of("system-long", Long, "/system"),
        of("system", Admin, "/system").main(),
        of("requests", Admin, "/system/requests").main(),
        of("requests-nothing", Admin, "/system/requests?q=nothing-like-this"),
        of("requests-long", Long, "/system/requests"),
        of("users", Admin, "/users").main(),
        of("user", Admin, "/users/alice").main(),
        of("groups", Admin, "/groups").main(),
        of("group", Admin, "/groups/platform").main(),
        of("roles", Admin, "/roles").main(),
        of("role", Admin, "/roles/release-manager").main(),
        of("rules", Admin, "/access").main(),
        of("rules-explain", Admin, "/access?user=erin&repository=platform%2Fapi&action=push"),
        of("rules-edit", Admin, "/access").pressed(&["Edit rule 2"]),
        of("settings", Admin, "/settings").main(),
        of("settings-retention", Admin, "/settings/collection"),
        of("settings-startup", Admin, "/settings/startup"),
        of("login", Nobody, "/login").main(),
        of("login-open", Open, "/login"),
        of("offline", Nobody, "/ui/offline"),
        of("error-401", Nobody, "/profile"),
        of("error-403", Alice, "/repositories/platform/web/-/settings"),
        of("error-404", Admin, "/no/such/page").main(),
    ]
}
