//! What a command works with: the server, the caller, the output.

use crate::{
    args::{Globals, RequestLogLevel},
    commands::artifact::notes::UploadNotes,
    config::{ServerContext, WharfConfig, WharfFiles},
    credentials::{CredentialChain, Sessions},
    failure::Failure,
    management::Management,
    output::CommandOutput,
    place::ImageName,
};
use client::{Client, RegistryAddress, Secret, Timeouts};
use oci::RepositoryName;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// One run of the program.
pub struct CommandSession {
    /// The options that all commands take.
    pub globals: Globals,
    /// Where the configuration and the sessions are.
    pub files: WharfFiles,
    /// The configuration.
    pub config: WharfConfig,
    /// Sessions of logins.
    pub sessions: Arc<Sessions>,
    /// What is printed.
    pub output: CommandOutput,
    /// One client for each registry that the command speaks to.
    clients: Mutex<BTreeMap<String, Client>>,
}

impl CommandSession {
    /// Reads the configuration.
    pub fn open(globals: Globals) -> Result<Self, Failure> {
        let files = WharfFiles::find(globals.config.as_deref())?;
        let config = files.load()?;
        let sessions = Arc::new(Sessions::at(&files.sessions));
        let output = globals.output();
        Ok(Self { globals, files, config, sessions, output, clients: Mutex::default() })
    }

    /// The server that the command is about, with how to connect to it.
    pub fn server(&self) -> Result<ServerContext, Failure> {
        if let Some(text) = &self.globals.server {
            if let Some(context) = self.config.contexts.get(text) {
                return Ok(context.clone());
            }
            return Ok(self.context_of(text));
        }
        let name = self.globals.context.as_ref().or(self.config.current.as_ref());
        let name = name.ok_or_else(|| {
            Failure::usage("no server is chosen").hint("log in with: wharf login SERVER, or give --server SERVER")
        })?;
        self.config.contexts.get(name).cloned().ok_or_else(|| {
            let failure = Failure::usage(format!("there is no context {name:?}"));
            match nearest(name, self.config.contexts.keys()) {
                Some(near) => failure.hint(format!("did you mean {near:?}?")),
                None => failure.hint("list them with: wharf context list"),
            }
        })
    }

    /// The server that people wrote, as the configuration knows it.
    pub fn context_of(&self, server: &str) -> ServerContext {
        let known = self.config.contexts.values().find(|context| context.server == server);
        known.cloned().unwrap_or_else(|| ServerContext { server: server.to_owned(), ..ServerContext::default() })
    }

    /// The address of a server, with the options of the command line.
    pub fn address(&self, context: &ServerContext) -> Result<RegistryAddress, Failure> {
        let address: RegistryAddress =
            context.server.parse().map_err(|error: client::InvalidRegistry| Failure::usage(error.to_string()))?;
        let read = |path: &Path| fs::read(path).map_err(|error| Failure::file("read", path, &error));
        let mut address = match context.plain_http || self.globals.plain_http {
            true => address.plain_http(),
            false => address,
        };
        if let Some(path) = self.globals.ca_file.as_ref().or(context.ca_file.as_ref()) {
            address = address.certificate_authorities(read(path)?);
        }
        if let (Some(chain), Some(key)) = (&self.globals.client_certificate, &self.globals.client_key) {
            let key = String::from_utf8(read(key)?).map_err(|_| Failure::usage("--key is not a PEM file"))?;
            address = address.client_certificate(read(chain)?, Secret::new(key));
        }
        Ok(if self.globals.insecure { address.insecure() } else { address })
    }

    /// The client of a server. The same server has the same client, so connections and tokens are shared.
    pub fn client(&self, context: &ServerContext) -> Result<Client, Failure> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&context.server) {
            return Ok(client.clone());
        }
        let address = self.address(context)?;
        let current = self.server().ok().and_then(|current| self.address(&current).ok());
        let chain = CredentialChain {
            sessions: self.sessions.clone(),
            takes_variables: current.is_some_and(|current| current.name() == address.name()),
        };
        self.sessions.exchange_with(address.name(), self.builder(address.clone()).build());
        let client = self.builder(address).credentials(chain).build();
        clients.insert(context.server.clone(), client.clone());
        Ok(client)
    }

    /// A client to be put together, with the options of the command line.
    pub fn builder(&self, address: RegistryAddress) -> client::Builder {
        let builder = Client::builder(address).timeouts(self.timeouts());
        match self.globals.log_level() {
            RequestLogLevel::Off => builder,
            level => builder.observer(Arc::new(move |report| crate::output::log_request(report, level))),
        }
    }

    /// Time limits, as `--timeout` sets them.
    fn timeouts(&self) -> Timeouts {
        let limits = Timeouts::default();
        match self.globals.timeout {
            None => limits,
            Some(limit) => {
                Timeouts { connect: limits.connect.min(limit), stall: limit, answer: limit.max(limits.answer) }
            }
        }
    }

    /// Where uploads that have begun are noted.
    pub fn upload_notes(&self) -> UploadNotes {
        UploadNotes::at(&self.files.config.with_file_name("uploads.json"))
    }

    /// The management API of the current server.
    pub fn management(&self) -> Result<Management, Failure> {
        Ok(Management::of(self.client(&self.server()?)?))
    }

    /// The registry and repository of an image, and its client.
    pub fn registry_of(&self, image: &ImageName) -> Result<(Client, RepositoryName), Failure> {
        let context = match &image.host {
            Some(host) => self.context_of(host),
            None => self.server()?,
        };
        let client = self.client(&context)?;
        let repository = client.registry().repository(&image.repository);
        Ok((client, repository.map_err(|error| Failure::usage(error.to_string()))?))
    }

    /// The management API of an image's registry, and its repository.
    pub fn managed(&self, image: &ImageName) -> Result<(Management, RepositoryName), Failure> {
        let (client, repository) = self.registry_of(image)?;
        Ok((Management::of(client), repository))
    }
}

/// The name that was probably meant.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n String>) -> Option<&'n String> {
    let distance = |other: &String| strsim::damerau_levenshtein(name, other);
    known.into_iter().min_by_key(|other| distance(other)).filter(|other| distance(other) <= 2)
}
