//! Sessions of the management API: each noun's requests, refusals and races.

mod activity;
mod aliases;
mod api_key_command;
mod dashboard;
mod edits;
mod keys;
mod login;
mod matrix;
mod migration;
mod pages;
mod quotas;
mod repo_command;
mod repositories;
mod system;
mod tasks;
mod user_command;
mod visibility;
