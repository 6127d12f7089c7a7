//! The web pages: the registry for people, in a browser.
//!
//! A page is written from what the management API answers to the same caller: [`ask`] makes a request of the API inside
//! the daemon, which passes the same gates as one from outside. So a page shows and does nothing that its caller could
//! not see or do by the API.

mod activity;
mod acts;
mod agent;
mod api_docs;
mod artifacts;
mod ask;
mod assets;
mod commands;
mod compare;
mod copying;
mod endpoint;
mod error_page;
mod form;
mod form_state;
mod home;
mod login;
mod manifest;
mod markup;
mod migration;
mod namespaces;
mod paths;
mod people;
mod people_acts;
mod profile;
mod register;
mod repositories;
mod repository;
mod repository_settings;
mod requests;
mod review;
mod rules;
mod search;
mod settings;
mod shell;
#[cfg(debug_assertions)]
mod style;
mod system;
mod tasks;

pub use endpoint::PagesEndpoint;

pub(super) use error_page::{PageError, error_page};
pub(super) use paths::is_page;
