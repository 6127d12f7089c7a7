//! The page `/migration`.

use super::{ended, start};
use crate::pages::{Browser, html, shows};
use testing::registry::Registry;

#[tokio::test]
async fn a_migration_is_started_and_followed_on_its_page() {
    let source = Registry::start().await;
    source.push_image("team/app", "v1", "x").await;
    let from = format!("http://{}", source.address());
    let here = start(|_| {});
    let admin = Browser::of(&here, "admin").await;
    shows(&html(&admin.get("/").await.is(200)), &["href=\"/migration\""]);
    shows(&html(&admin.get("/migration").await.is(200)), &["No migration yet", "name=\"dry_run\""]);
    // What is there, and the tags of one repository.
    let found =
        admin.post("/migration", &[("source_registry", &from), ("browse", "yes"), ("password", "hunter22")]).await;
    shows(&html(&found.is(400)), &["A password needs a user."]);
    let found = html(&admin.post("/migration", &[("source_registry", &from), ("browse", "yes")]).await.is(200));
    shows(&found, &["Repositories there", "value=\"team/app\"", &from]);
    let tags = html(&admin.post("/migration", &[("source_registry", &from), ("tags_of", "team/app")]).await.is(200));
    shows(&tags, &["Tags of", "value=\"team/app:v1\""]);
    let refused =
        admin.post("/migration", &[("source_registry", "a b"), ("images", "UPPER"), ("password", "hunter22")]).await;
    let refused = html(&refused.is(400));
    shows(&refused, &["is not a registry", "UPPER"]);
    assert!(!refused.contains("hunter22"));
    // A picked tag is copied like one that is typed.
    let form = [("source_registry", from.as_str()), ("pick", "team/app:v1"), ("target_prefix", "mirror")];
    let planned = admin.post("/migration", &[&form[..], &[("dry_run", "yes")]].concat()).await.is(303);
    let path = planned.header("location").split('?').next().unwrap().to_owned();
    ended(&here, &here.admin(), path.rsplit('/').next().unwrap()).await;
    shows(&html(&admin.get(&path).await.is(200)), &["Dry run from", "mirror/team/app:v1", "to copy"]);
    let started = admin.post("/migration", &form).await.is(303);
    let path = started.header("location").split('?').next().unwrap().to_owned();
    ended(&here, &here.admin(), path.rsplit('/').next().unwrap()).await;
    let page = html(&admin.get(&path).await.is(200));
    shows(&page, &["completed", "mirror/team/app:v1", "1 copied"]);
    assert!(!page.contains("data-reload") && !page.contains("/resume"), "{page}");
    shows(&html(&admin.get(&format!("{path}?status=failed")).await.is(200)), &["None in this state."]);
    shows(&html(&admin.get("/migration").await.is(200)), &[&path, "dry run", "team/app:v1"]);
    // One that failed can be resumed from its page.
    let failed = admin.post("/migration", &[("source_registry", &from), ("images", "team/app:absent")]).await.is(303);
    let path = failed.header("location").split('?').next().unwrap().to_owned();
    ended(&here, &here.admin(), path.rsplit('/').next().unwrap()).await;
    shows(&html(&admin.get(&path).await.is(200)), &["failed", "404 Not Found", "Resume"]);
    admin.post(&format!("{path}/resume"), &[]).await.is(303);
    ended(&here, &here.admin(), path.rsplit('/').next().unwrap()).await;
    html(&admin.post(&format!("{path}/cancel"), &[]).await.is(409));
    // Others neither see nor start any.
    let nobody = Browser::new(&here);
    nobody.get("/migration").await.is(401);
    nobody.get(&path).await.is(401);
    nobody.post("/migration", &form).await.is(401);
}
