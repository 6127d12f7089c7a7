//! The commands of DistroFace's guide, typed as the guide types them with `wharf` in place of `dfcli`.

use crate::rig::{Person, password, registry};

#[test]
fn the_commands_of_the_guide_work() {
    let registry = registry(|_| {});
    let admin = Person::new(&registry);
    admin.has(".dfcli/config.json", format!(r#"{{ "server": "{}", "token": "ignored" }}"#, admin.server()));
    // The server comes from dfcli's file, and the password may be on the command line.
    let login = admin.types(&["login", "-u", "admin", "-p", &password("admin")]);
    assert!(login.err.contains("can be seen in the list of processes"), "{}", login.err);
    login.succeeds();
    admin.has_image("image", 40);
    admin.types(&["push", "image", "team/app:v1"]).succeeds();

    let typed = |line: &str| admin.types(&line.split(' ').collect::<Vec<_>>());
    assert!(typed("image list").succeeds().contains("team/app"));
    assert!(typed("image tags team/app").succeeds().contains("v1"));
    typed("image visibility team/app public").succeeds();
    typed("image delete team/app v1").succeeds();
    typed("user create carl -p correct-horse-battery -g devs").fails(1);
    typed("group create devs -d Developers -r developer,reader").succeeds();
    typed("user create carl -p correct-horse-battery -g devs").succeeds();
    assert!(typed("user list").succeeds().contains("carl"));
    typed("user groups carl -g devs").succeeds();
    assert!(typed("group list").succeeds().contains("developer,reader"));
    typed("group update devs -d Everybody -r reader").succeeds();
    assert!(typed("role list").succeeds().contains("developer"));
    typed("role update reader --add PUSH:IMAGE --remove DELETE:IMAGE").succeeds();
    typed("settings get auth").succeeds();
    typed("settings update auth -s registration=open").succeeds();
    typed("settings reset auth -y").succeeds();
    typed("user delete carl -y").succeeds();
    typed("group delete devs -y").succeeds();
    typed("role delete reader -y").succeeds();
    typed("logout").succeeds();
    // A server without a scheme.
    let other = format!("--server {} status", admin.server());
    typed(&other).succeeds();
}
