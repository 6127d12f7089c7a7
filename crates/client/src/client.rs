//! The client of one registry, and how its requests are logged in and repeated.

use crate::{
    error::{Error, ErrorCause},
    login::{Credential, CredentialSource, Login, Scopes, Secret},
    net::{Connector, Resolve, SystemResolver, TlsSetup},
    observe::ExchangeObserver,
    registry::RegistryAddress,
    retry::{Attempts, Retries},
    source::ByteStream,
    transport::{Authorization, Call, RegistryResponse, Timeouts, Transport, Whole},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use std::{fmt, sync::Arc};

/// Speaks to one registry. Clones share connections and tokens.
#[derive(Clone)]
pub struct Client(Arc<ClientState>);

struct ClientState {
    transport: Transport,
    login: Login,
    retries: Retries,
    most_manifest: usize,
}

/// Puts a [`Client`] together.
pub struct Builder {
    registry: RegistryAddress,
    credentials: Arc<dyn CredentialSource>,
    resolver: Option<Arc<dyn Resolve>>,
    proxies: Option<Matcher>,
    timeouts: Timeouts,
    retries: Retries,
    most_manifest: usize,
    user_agent: HeaderValue,
    observer: Option<ExchangeObserver>,
}

/// What a login found out.
#[derive(Debug)]
pub struct LoggedIn {
    /// Whether the registry asked for credentials at all, and so checked them.
    pub checked: bool,
    /// What to keep in place of the password, if the registry's token service gives that.
    pub identity_token: Option<Secret>,
}

/// The largest manifest and the largest page that are read, unless set otherwise. Registries must
/// take manifests of 4 MiB.
const MOST_MANIFEST: usize = 16 << 20;

impl Builder {
    /// Who logs in. Without it, nobody does.
    #[must_use]
    pub fn credentials(mut self, credentials: impl CredentialSource + 'static) -> Self {
        self.credentials = Arc::new(credentials);
        self
    }

    /// Decides which addresses are connected to. Proxies are then not used: behind one, nobody could
    /// tell.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Uses this proxy (`http://proxy.example.com:3128`) in place of those of the environment, but
    /// not for hosts in `except`, which is written as `NO_PROXY` is.
    #[must_use]
    pub fn proxy(mut self, url: &str, except: &str) -> Self {
        self.proxies = Some(Matcher::builder().all(url).no(except).build());
        self
    }

    /// Time limits.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Attempts and pauses.
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Is told of each request and its answer.
    #[must_use]
    pub fn observer(mut self, observer: ExchangeObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The largest manifest, and the largest page of a list, in bytes.
    #[must_use]
    pub fn most_manifest(mut self, bytes: usize) -> Self {
        self.most_manifest = bytes;
        self
    }

    /// The client.
    pub fn build(self) -> Client {
        let proxies = self.resolver.is_none().then(|| self.proxies.unwrap_or_else(Matcher::from_env));
        let resolver = self.resolver.unwrap_or_else(|| Arc::new(SystemResolver));
        let tls = TlsSetup::new(self.registry.options.clone(), self.registry.origin().host);
        let connector = Connector::new(resolver, proxies, tls, self.timeouts.connect);
        Client(Arc::new(ClientState {
            transport: Transport::new(self.registry, connector, self.timeouts, self.user_agent, self.observer),
            login: Login::new(self.credentials),
            retries: self.retries,
            most_manifest: self.most_manifest,
        }))
    }
}

impl Client {
    /// A client with the usual limits and without credentials.
    pub fn new(registry: RegistryAddress) -> Self {
        Self::builder(registry).build()
    }

    /// A client to be put together.
    pub fn builder(registry: RegistryAddress) -> Builder {
        Builder {
            registry,
            credentials: Arc::new(Credential::Anonymous),
            resolver: None,
            proxies: None,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            most_manifest: MOST_MANIFEST,
            user_agent: HeaderValue::from_static(concat!("wharfinger-client/", env!("CARGO_PKG_VERSION"))),
            observer: None,
        }
    }

    /// The registry it speaks to.
    pub fn registry(&self) -> &RegistryAddress {
        &self.0.transport.registry
    }

    /// Checks that there is a registry, and that it lets the caller in.
    ///
    /// # Errors
    /// If either is not so.
    pub async fn ping(&self) -> Result<(), Error> {
        let operation = || format!("reach the registry {}", self.registry());
        self.ping_once().await.map_err(|fault| fault.during(operation()))
    }

    async fn ping_once(&self) -> Result<(), ErrorCause> {
        let answer = self.read(&self.get("/v2/")?, &Scopes::none()).await?;
        if answer.status == StatusCode::OK { Ok(()) } else { Err(answer.fault()) }
    }

    /// Checks the credentials, and asks for an identity token.
    ///
    /// # Errors
    /// If the registry does not accept them.
    pub async fn login(&self) -> Result<LoggedIn, Error> {
        let login = async {
            self.ping_once().await?;
            let checked = self.0.login.header(&self.0.transport, &Scopes::none()).await?.is_some();
            let identity_token = self.0.login.identity(&self.0.transport).await?;
            Ok(LoggedIn { checked, identity_token })
        };
        login.await.map_err(|fault: ErrorCause| fault.during(format!("log in to {}", self.registry())))
    }

    /// A GET of a path.
    pub(crate) fn get(&self, path: &str) -> Result<Call, ErrorCause> {
        self.request(Method::GET, path)
    }

    /// A request about a path.
    pub(crate) fn request(&self, method: Method, path: &str) -> Result<Call, ErrorCause> {
        Ok(Call::new(method, self.url(path)?))
    }

    pub(crate) fn url(&self, path: &str) -> Result<Uri, ErrorCause> {
        self.registry().url(path).map_err(|error| ErrorCause::protocol(error.to_string()))
    }

    /// Where an answer's URL leads, if it may be followed.
    pub(crate) fn locate(&self, base: &Uri, reference: &str) -> Result<Uri, ErrorCause> {
        self.0.transport.locate(base, reference)
    }

    /// The largest answer that is read as a whole, in bytes.
    pub(crate) fn most_answer(&self) -> usize {
        self.0.most_manifest
    }

    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.0.retries)
    }

    /// Sends a request, repeatedly if need be, and reads the whole answer. Any status that is not
    /// worth another attempt is an answer.
    pub(crate) async fn read(&self, call: &Call, scopes: &Scopes) -> Result<Whole, ErrorCause> {
        let mut attempts = self.attempts();
        loop {
            let fault = match self.read_once(call, scopes).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            attempts.pause(fault).await?;
        }
    }

    /// Sends a request once, and reads the whole answer.
    pub(crate) async fn read_once(&self, call: &Call, scopes: &Scopes) -> Result<Whole, ErrorCause> {
        self.open_once(call, scopes).await?.whole(self.most_answer()).await
    }

    /// Sends a request once, and leaves the body to be read. An answer that is worth another
    /// attempt is a fault.
    pub(crate) async fn open_once(&self, call: &Call, scopes: &Scopes) -> Result<RegistryResponse, ErrorCause> {
        let answer = self.logged_in(call, scopes).await?;
        if matches!(answer.status.as_u16(), 408 | 429 | 502 | 503 | 504) {
            return Err(answer.fault().await);
        }
        Ok(answer)
    }

    /// Sends a request with a header that fits, and once more after a 401.
    async fn logged_in(&self, call: &Call, scopes: &Scopes) -> Result<RegistryResponse, ErrorCause> {
        let ClientState { transport, login, .. } = &*self.0;
        let header = self.header(call, scopes).await?;
        let answer = transport.send(call, self.who(header.as_ref()).as_ref().map(Who::authorization)).await?;
        // Only the registry itself has a say about its login, not a server it redirects to.
        if answer.status != StatusCode::UNAUTHORIZED || !self.registry().is_own(&answer.url) {
            return Ok(answer);
        }
        let mut answer = match login.challenged(transport, scopes, header.as_ref(), &answer.headers).await? {
            None => answer,
            Some(header) => {
                answer.discard().await;
                transport.send(call, self.who(Some(&header)).as_ref().map(Who::authorization)).await?
            }
        };
        answer.is_denied =
            answer.status == StatusCode::UNAUTHORIZED && login.is_refused(transport, &answer.headers).await;
        Ok(answer)
    }

    /// Sends content once. After a 401 the next attempt has another header, if there is one.
    pub(crate) async fn send_stream(
        &self,
        call: &Call,
        scopes: &Scopes,
        stream: ByteStream,
        length: u64,
    ) -> Result<RegistryResponse, ErrorCause> {
        let ClientState { transport, login, .. } = &*self.0;
        let header = self.header(call, scopes).await?;
        let who = self.who(header.as_ref());
        let answer = transport.stream(call, who.as_ref().map(Who::authorization), stream, length).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.registry().is_own(&answer.url) {
            return Ok(answer);
        }
        let can_go_on = login.challenged(transport, scopes, header.as_ref(), &answer.headers).await?.is_some();
        let fault = answer.fault().await;
        Err(if can_go_on { fault.retryable() } else { fault.last() })
    }

    /// What a request says about who asks.
    async fn header(&self, call: &Call, scopes: &Scopes) -> Result<Option<HeaderValue>, ErrorCause> {
        let ClientState { transport, login, .. } = &*self.0;
        match login.header(transport, scopes).await? {
            None if call.is_eager => login.unasked(transport).await,
            header => Ok(header),
        }
    }

    fn who<'h>(&self, header: Option<&'h HeaderValue>) -> Option<Who<'h>> {
        header.map(|value| Who { value, only: self.registry().origin() })
    }
}

/// A header for the registry alone.
struct Who<'h> {
    value: &'h HeaderValue,
    only: crate::url::Origin,
}

impl Who<'_> {
    fn authorization(&self) -> Authorization<'_> {
        Authorization { value: self.value, only: &self.only }
    }
}

/// Whether a header has this entry, in a comma-separated list. Case counts, as it does in tags.
pub(crate) fn lists(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim() == wanted)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(self.registry()).finish()
    }
}
