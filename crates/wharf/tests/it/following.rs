//! Work of the server that is followed by its events.

use crate::rig::{Person, daemon, registry};
use std::{net::TcpListener, time::Duration};
use testing::{
    content::{noise, sha256},
    source::{Fault, Source},
};

#[test]
fn a_migration_is_followed_by_events_also_over_a_restart_of_the_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let layer = noise(4 << 20, 1);
    let slow = sha256(&layer);
    let source = runtime.block_on(Source::start(move |asked| {
        asked.line.ends_with(&slow).then_some(Fault::Slow(Duration::from_millis(50)))
    }));
    source.put_image("app", "v1", &[layer]);
    // The same port after the restart.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let here = registry(|files| {
        files.settings = "[migration]\nallow_private = [\"127.0.0.1/32\"]\n".to_owned();
        files.vars.push(("REGISTRY_PORT", port.to_string()));
    });
    let admin = Person::logged_in(&here, "admin");
    let id = admin.types(&["migrate", "start", &source.name(), "app:v1", "--detach"]).succeeds();
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| admin.types(&["migrate", "watch", id.trim(), "--json"]));
        std::thread::sleep(Duration::from_secs(1));
        let here = here.killed_and_restarted(daemon());
        let task = watching.join().unwrap().json();
        assert_eq!(task["status"], "completed", "{task:#}");
        let metrics = runtime.block_on(async { here.admin().client.get("/metrics").await.is(200) });
        let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
        let of = |endpoint: &str| metrics.lines().any(|line| line.contains(&format!("endpoint=\"{endpoint}\"")));
        assert!(of("follow_task"), "{metrics}");
    });
}
