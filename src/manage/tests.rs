//! Changes as callers make them: what each does to the files, and what is refused.

use super::{user_access::AccessChange, *};
use crate::{
    access::Ceiling,
    config::{ConfigWatch, EditableFile, Env},
    storage::fs::{Fs, Init},
    who::Subject,
};
use api::{
    groups::{GroupInfo, UpdateGroup},
    roles::{PermissionText, PutRole, UpdateRole},
    rules::RuleBody,
    users::{ChangeAccess, CreateUser, UpdateUser},
};
use std::{ffi::OsString, sync::Arc};

const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";
const NEW: &str = "$2y$10$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

const RULES: &str = r#"{
  "adminUsers": ["root"],
  "rules": [
    {"repository": "public/**", "users": ["*"], "permissions": ["pull"]},
    {"repository": "team/*", "users": ["alice", "@devs"], "permissions": ["pull", "push"]}
  ],
  "groups": {
    "devs": {"members": ["bob"], "roles": ["dev"]},
    "managers": {"members": ["mia"], "roles": ["manage"]}
  },
  "roles": {
    "dev": {"permissions": ["VIEW:USER"]},
    "manage": {"permissions": ["VIEW:USER", "CREATE:USER", "UPDATE:USER", "DELETE:USER", "UPDATE:GROUP"]}
  }
}
"#;

struct World {
    dir: tempfile::TempDir,
    manage: Manage,
    watch: ConfigWatch,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let users = ["root", "alice", "bob", "mia", "zoe"].map(|name| format!("{name}:{HASH}\n"));
        std::fs::write(dir.path().join("htpasswd"), format!("# people\n{}", users.concat())).unwrap();
        std::fs::write(dir.path().join("rules.json"), RULES).unwrap();
        let path = |name: &str| dir.path().join(name).into_os_string();
        let flags: [(&str, OsString); 4] = [
            ("REGISTRY_AUTH_TYPE", "basic".into()),
            ("REGISTRY_AUTH_HTPASSWD", path("htpasswd")),
            ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".into()),
            ("REGISTRY_ACCESS_CONTROL_CONFIG", path("rules.json")),
        ];
        let watch = ConfigWatch::new(Env::load([], None, flags).unwrap().0).unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let (fs, _) = Fs::open(&dir.path().join("data"), Init::EmptyDirectory).unwrap();
        let manage = Manage::new(watch.editor(), watch.live(), Arc::new(fs));
        Self { dir, manage, watch }
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// The lines that differ from the start.
    fn changes(&self) -> Vec<String> {
        let users = ["root", "alice", "bob", "mia", "zoe"].map(|name| format!("{name}:{HASH}\n"));
        let users = diff::unified("f", &format!("# people\n{}", users.concat()), &self.text("htpasswd"));
        let rules = diff::unified("f", RULES, &self.text("rules.json"));
        let changed =
            |diff: &str| diff.lines().skip(2).filter(|l| l.starts_with(['-', '+'])).map(str::to_owned).collect();
        let (users, rules): (Vec<String>, Vec<String>) = (changed(&users), changed(&rules));
        [users, rules].concat()
    }

    async fn change<T: Send + 'static>(
        &self,
        by: &str,
        work: impl FnOnce(&Edits) -> Result<T, EditRefusal> + Send + 'static,
    ) -> Result<T, EditRefusal> {
        let subject = Subject::User(by.into());
        let request = Some("r1".into());
        let author = Author { subject, ceiling: Ceiling::None, address: None, request, is_operator: false };
        self.manage.change(author, "test", "target", work).await.map(|changed| changed.value)
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn new_user(name: &str, groups: &[&str]) -> CreateUser {
    CreateUser { username: name.into(), groups: strings(groups), ..CreateUser::default() }
}

fn code(refusal: &EditRefusal) -> String {
    format!("{refusal:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_user_is_a_line_and_an_entry_in_each_group() {
    let world = World::new();
    let carl =
        world.change("root", |edits| users::create(edits, &new_user("carl", &["devs"]), Some(HASH))).await.unwrap();
    assert_eq!((carl.groups, carl.roles, carl.is_admin), (strings(&["devs"]), strings(&["dev"]), false));
    let line =
        |sign: &str, members: &str| format!(r#"{sign}    "devs": {{"members": [{members}], "roles": ["dev"]}},"#);
    let added = vec![format!("+carl:{HASH}"), line("-", r#""bob""#), line("+", r#""bob", "carl""#)];
    assert_eq!(world.changes(), added);

    let change = UpdateUser { locked: Some(true), groups: Some(strings(&["managers"])), ..UpdateUser::default() };
    let carl = world
        .change("root", move |edits| users::update(edits, "carl", &change, Some(NEW), &Precondition::None))
        .await
        .unwrap();
    assert_eq!((carl.groups, carl.locked), (strings(&["managers"]), true));
    assert!(world.text("htpasswd").ends_with(&format!("carl:!{NEW}\n")));
    let unlock = UpdateUser { locked: Some(false), ..UpdateUser::default() };
    world.change("root", move |e| users::update(e, "carl", &unlock, None, &Precondition::None)).await.unwrap();
    assert!(world.text("htpasswd").ends_with(&format!("carl:{NEW}\n")));

    world.change("root", |edits| users::delete(edits, "carl", &Precondition::None)).await.unwrap();
    assert_eq!(world.changes(), [""; 0]);
    let robot = world.change("root", |edits| users::create(edits, &new_user("ci", &[]), None)).await.unwrap();
    assert!(robot.robot && world.text("htpasswd").ends_with("ci:!\n"));
}

#[tokio::test]
async fn a_deleted_user_leaves_groups_rules_and_administrators() {
    let world = World::new();
    let access = ChangeAccess { repository: "x/y".into(), actions: strings(&["pull"]), dry_run: false };
    world.change("root", move |e| user_access::change(e, "bob", &access, AccessChange::Add)).await.unwrap();
    for name in ["bob", "alice"] {
        world.change("root", move |edits| users::delete(edits, name, &Precondition::None)).await.unwrap();
    }
    let text = world.text("rules.json");
    assert!(!text.contains("bob") && !text.contains("alice"), "{text}");
    assert!(text.contains(r#""users": ["@devs"]"#), "{text}");
    let gone = world.change("root", |edits| users::delete(edits, "bob", &Precondition::None)).await.unwrap_err();
    assert_eq!(code(&gone), "NotFound");
    // A deletion that ended between the two files.
    let half = RULES.replace("\"bob\"", "\"gone\"");
    std::fs::write(world.dir.path().join("rules.json"), half).unwrap();
    world.manage.editor().reload();
    world.change("root", |edits| users::delete(edits, "gone", &Precondition::None)).await.unwrap();
    assert!(!world.text("rules.json").contains("gone"));
}

#[tokio::test]
async fn names_that_something_speaks_of_and_groups_that_do_not_exist_are_refused_before_anything_changes() {
    let world = World::new();
    std::fs::write(world.dir.path().join("rules.json"), RULES.replace("\"root\"", "\"root\", \"ghost\"")).unwrap();
    let create = |name: &str, groups: &[&str]| {
        let user = new_user(name, groups);
        world.change("root", move |edits| users::create(edits, &user, Some(HASH)))
    };
    for (name, refusal) in [
        ("alice", "NameTaken"),
        ("ghost", "NameTaken"),
        ("me", "Invalid"),
        ("a/b", "Invalid"),
        ("@devs", "Invalid"),
        ("", "Invalid"),
        ("#x", "Invalid"),
        ("a:b", "Invalid"),
    ] {
        assert_eq!(code(&create(name, &[]).await.unwrap_err()), refusal, "{name}");
    }
    assert!(create(&"n".repeat(128), &[]).await.is_ok() && create(&"n".repeat(129), &[]).await.is_err());
    let EditRefusal::Invalid(problems) = create("new", &["managers", "dev"]).await.unwrap_err() else { panic!() };
    assert_eq!((problems[0].at.as_str(), problems[0].did_you_mean.as_deref()), ("/groups/1", Some("devs")));
    assert!(!world.text("htpasswd").contains("new:"));
}

#[tokio::test]
async fn nobody_gains_rights_by_changing_others() {
    let world = World::new();
    let set = |by: &'static str, name: &'static str, change: UpdateUser, hash: Option<&'static str>| {
        world.change(by, move |edits| users::update(edits, name, &change, hash, &Precondition::None))
    };
    let groups = |names: &[&str]| UpdateUser { groups: Some(strings(names)), ..UpdateUser::default() };
    let lock = UpdateUser { locked: Some(true), ..UpdateUser::default() };
    // `mia` may do less than bob (who may push team/*), alice and root, and as much as zoe.
    for (name, change, hash, allowed) in [
        ("zoe", UpdateUser::default(), Some(NEW), true),
        ("bob", UpdateUser::default(), Some(NEW), false),
        ("alice", UpdateUser::default(), Some(NEW), false),
        ("root", UpdateUser::default(), Some(NEW), false),
        ("root", lock.clone(), None, false),
        ("zoe", lock.clone(), None, true),
        ("zoe", groups(&["managers"]), None, true),
        ("zoe", groups(&["devs"]), None, false),
        ("mia", groups(&["managers", "devs"]), None, false),
    ] {
        let done = set("mia", name, change, hash).await;
        assert_eq!(done.is_ok(), allowed, "{name}: {done:?}");
        assert!(allowed || matches!(code(&done.unwrap_err()).as_str(), "BeyondCaller" | "Oneself"));
    }
    let create = |groups: &[&str]| {
        let user = new_user("new", groups);
        world.change("mia", move |edits| users::create(edits, &user, Some(HASH)))
    };
    assert_eq!(code(&create(&["devs"]).await.unwrap_err()), "BeyondCaller");
    assert!(!world.text("htpasswd").contains("new:"), "not even without the group");
    assert!(create(&[]).await.is_ok());
    let join = UpdateGroup { members: Some(strings(&["bob", "mia"])), ..UpdateGroup::default() };
    let joined = world.change("mia", move |e| groups::update(e, "devs", &join, &Precondition::None)).await;
    assert_eq!(code(&joined.unwrap_err()), "BeyondCaller");
    let roles = UpdateGroup { roles: Some(strings(&["administrator"])), ..UpdateGroup::default() };
    let raised = world.change("mia", move |e| groups::update(e, "managers", &roles, &Precondition::None)).await;
    assert_eq!(code(&raised.unwrap_err()), "BeyondCaller");
    assert_eq!(
        code(&world.change("mia", |e| users::delete(e, "bob", &Precondition::None)).await.unwrap_err()),
        "BeyondCaller"
    );
    assert_eq!(code(&set("root", "root", lock, None).await.unwrap_err()), "Oneself");
    assert_eq!(
        code(&world.change("root", |e| users::delete(e, "root", &Precondition::None)).await.unwrap_err()),
        "Oneself"
    );
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let world = World::new();
    let admins = GroupInfo {
        name: "admins".into(),
        roles: strings(&["administrator"]),
        members: strings(&["alice"]),
        ..GroupInfo::default()
    };
    world.change("root", move |edits| groups::create(edits, &admins)).await.unwrap();
    world.change("alice", |edits| users::delete(edits, "root", &Precondition::None)).await.unwrap();
    let delete = world.change("alice", |e| groups::delete(e, "admins", false, &Precondition::None)).await;
    assert_eq!(code(&delete.unwrap_err()), "LastAdmin");
    let raw = |edits: &Edits| {
        edits.edit(EditableFile::AccessControl, |_, _| Ok(FileEdit { text: "{}".into(), affects: Affected::nobody() }))
    };
    assert_eq!(code(&world.change("alice", raw).await.unwrap_err()), "LastAdmin");
    assert_eq!(
        code(&world.change("alice", |e| users::delete(e, "alice", &Precondition::None)).await.unwrap_err()),
        "Oneself"
    );
}

#[tokio::test]
async fn groups_and_roles_in_use_and_built_in_roles_stay() {
    let world = World::new();
    let delete =
        |name: &'static str, force| world.change("root", move |e| groups::delete(e, name, force, &Precondition::None));
    let EditRefusal::InUse { by, .. } = delete("devs", false).await.unwrap_err() else { panic!() };
    assert_eq!(by, ["rule 2 (line 5)"]);
    delete("devs", true).await.unwrap();
    assert!(world.text("rules.json").contains(r#"{"repository": "team/*", "users": ["alice"], "#));
    let role = |name: &'static str| world.change("root", move |e| roles::delete(e, name, &Precondition::None));
    assert_eq!(code(&role("manage").await.unwrap_err()), "InUse");
    assert_eq!(code(&role("reader").await.unwrap_err()), "Builtin");
    role("dev").await.unwrap();
    let put = PutRole {
        name: "reader".into(),
        permissions: vec![PermissionText::Words { action: "VIEW".into(), resource: "TASK".into() }],
        ..PutRole::default()
    };
    let reader = world.change("root", move |e| roles::put(e, &put, &Precondition::None)).await.unwrap();
    assert_eq!((reader.permissions, reader.builtin, reader.defined), (strings(&["VIEW:TASK"]), true, true));
    role("reader").await.unwrap();
    let live = world.watch.live().load_full();
    assert_eq!(roles::role(groups::policy(&live).unwrap(), "reader").unwrap().permissions.len(), 9);
    let change = UpdateRole {
        add: vec![PermissionText::Text("VIEW:TASK".into())],
        remove: vec![PermissionText::Text("CREATE:USER".into())],
        ..UpdateRole::default()
    };
    world.change("root", move |e| roles::update(e, "manage", &change, &Precondition::None)).await.unwrap();
    let changed = r#""permissions": ["VIEW:USER", "UPDATE:USER", "DELETE:USER", "UPDATE:GROUP", "VIEW:TASK"]"#;
    assert!(world.text("rules.json").contains(changed));
    let wrong = UpdateRole { add: vec![PermissionText::Text("LOOK:TASK".into())], ..UpdateRole::default() };
    assert_eq!(
        code(
            &world.change("root", move |e| roles::update(e, "manage", &wrong, &Precondition::None)).await.unwrap_err()
        ),
        "Invalid"
    );
}

#[tokio::test]
async fn a_rule_is_changed_only_in_the_version_that_was_read() {
    let world = World::new();
    let tag = text_tag(RULES.as_bytes());
    let rule = RuleBody {
        repository: "new/**".into(),
        users: strings(&["zoe"]),
        permissions: strings(&["pull"]),
        made_for: None,
    };
    let seen = Precondition::Matches(vec![tag.clone()]);
    let (wanted, unchanged) = (rule.clone(), seen.clone());
    let made = world.change("root", move |e| rules::insert(e, Some(1), &wanted, &unchanged)).await.unwrap();
    assert_eq!((made.index, made.line), (1, 5));
    let late = seen.clone();
    let refused = world.change("root", move |e| rules::delete(e, 1, &late)).await.unwrap_err();
    let EditRefusal::PreconditionFailed(Some(now)) = refused else { panic!("{refused}") };
    assert_eq!(now, text_tag(world.text("rules.json").as_bytes()));
    let now = Precondition::Matches(vec![now]);
    world.change("root", move |e| rules::delete(e, 1, &now)).await.unwrap();
    assert_eq!(world.changes(), [""; 0]);
    let wrong = RuleBody { users: strings(&["zoey"]), ..rule.clone() };
    let refused = world.change("root", move |e| rules::insert(e, None, &wrong, &Precondition::None)).await.unwrap_err();
    assert!(matches!(&refused, EditRefusal::Invalid(p) if p[0].did_you_mean.as_deref() == Some("zoe")), "{refused}");
    let wrong = RuleBody { repository: "a**".into(), ..rule.clone() };
    let refused = world.change("root", move |e| rules::replace(e, 0, &wrong, &Precondition::None)).await.unwrap_err();
    assert!(refused.to_string().contains("rules[0].repository"), "{refused}");
    assert_eq!(world.changes(), [""; 0]);
}

#[tokio::test]
async fn a_user_gets_a_rule_of_their_own_that_keeps_what_they_had() {
    let world = World::new();
    let change = |name: &'static str, repository: &str, actions: &[&str], how: AccessChange, dry_run: bool| {
        let asked = ChangeAccess { repository: repository.into(), actions: strings(actions), dry_run };
        world.change("root", move |edits| user_access::change(edits, name, &asked, how))
    };
    use AccessChange::{Add, Remove};
    let tried = change("zoe", "public/x", &["push"], Add, true).await.unwrap();
    assert_eq!((tried.before, tried.after), (strings(&["pull"]), strings(&["pull", "push"])));
    assert!(tried.diff.contains("\n+      \"repository\": \"public/x\","), "{}", tried.diff);
    assert_eq!(world.changes(), [""; 0]);
    let made = change("zoe", "public/x", &["push"], Add, false).await.unwrap();
    assert_eq!(made.rule.unwrap().permissions, ["pull", "push"]);
    let more = change("zoe", "public/x", &["delete"], Add, false).await.unwrap();
    assert_eq!((more.rule.as_ref().unwrap().index, more.rule.unwrap().permissions.len()), (0, 3));
    let live = world.watch.live().load_full();
    assert_eq!(user_access::list(&live, "zoe").unwrap()[0].repository, "public/x");

    // A rule that was put above it decides.
    let above = RuleBody {
        repository: "public/*".into(),
        users: strings(&["zoe"]),
        permissions: strings(&["pull"]),
        made_for: None,
    };
    world.change("root", move |e| rules::insert(e, Some(0), &above, &Precondition::None)).await.unwrap();
    let refused = change("zoe", "public/x", &["push"], Add, false).await.unwrap_err();
    assert!(matches!(refused, EditRefusal::Shadowed(_)), "{refused}");
    world.change("root", |e| rules::delete(e, 0, &Precondition::None)).await.unwrap();

    let less = change("zoe", "public/x", &["delete"], Remove, false).await.unwrap();
    assert_eq!(less.rule.unwrap().permissions, ["pull", "push"]);
    assert!(change("zoe", "public/x", &["pull", "push"], Remove, false).await.unwrap().rule.is_none());
    assert_eq!(world.changes(), [""; 0]);
    assert_eq!(code(&change("zoe", "public/x", &["pull"], Remove, false).await.unwrap_err()), "NotFound");
    assert_eq!(code(&change("nobody", "a", &["pull"], Add, false).await.unwrap_err()), "NotFound");
    let wide = change("alice", "team/*", &["delete"], Add, true).await.unwrap();
    assert_eq!((wide.before, wide.after.len()), (strings(&["pull", "push"]), 3));
}

#[tokio::test]
async fn every_change_is_in_the_audit_log() {
    let world = World::new();
    let before = text_tag(world.text("htpasswd").as_bytes());
    world.change("root", |edits| users::create(edits, &new_user("carl", &["devs"]), Some(HASH))).await.unwrap();
    world.change("mia", |edits| users::delete(edits, "bob", &Precondition::None)).await.unwrap_err();
    let recorded = world.manage.recorded(None, 10).await.unwrap();
    assert_eq!(recorded.len(), 1, "what was refused changed nothing");
    let entry = &recorded[0].1;
    assert_eq!(
        (entry.actor.as_str(), entry.action.as_str(), entry.request_id.as_deref()),
        ("root", "test", Some("r1"))
    );
    let files: Vec<_> = entry.files.iter().map(|file| file.file.as_str()).collect();
    assert_eq!((files, &entry.files[0].before), (vec!["htpasswd", "access-control"], &before));
    assert_eq!(entry.files[0].after, text_tag(world.text("htpasswd").as_bytes()));
}
