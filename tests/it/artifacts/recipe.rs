//! The commands of docs/artifacts.md do what the page says.

use super::registry;
use std::process::Command;

#[tokio::test]
async fn the_commands_of_the_page_work() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/artifacts.md")).unwrap();
    let (_, recipe) = page.split_once("<!-- begin recipe -->").unwrap();
    let (recipe, _) = recipe.split_once("<!-- end recipe -->").unwrap();
    let commands: String = recipe.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let registry = registry();
    let commands = commands.replace("https://registry.example.com", &format!("http://{}", registry.address()));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app.tar.gz"), "an archive").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-euc", &commands]).current_dir(dir.path()).env("LOGIN", "admin:admin!");
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("\"build\":\"77\"") && said.contains("\"deleted_by\":\"admin\""), "{said}");
    assert_eq!(std::fs::read_to_string(dir.path().join("app.tar.gz")).unwrap(), "an archive");
}
