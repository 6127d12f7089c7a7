//! The web pages: the registry for people, in a browser.
//!
//! A page is written from what the management API answers to the same caller: [`ask`] makes a request of the API inside
//! the daemon, which passes the same gates as one from outside. So a page shows and does nothing that its caller could
//! not see or do by the API.

mod acts;
mod ask;
mod assets;
mod commands;
mod compare;
mod endpoint;
mod error_page;
mod form;
mod home;
mod login;
mod manifest;
mod markup;
mod people;
mod people_acts;
mod profile;
mod repositories;
mod repository;
mod rules;
mod search;
mod settings;
mod shell;
mod system;

pub use endpoint::PagesEndpoint;

pub(super) use endpoint::is_page;
pub(super) use error_page::{PageError, error_page};
