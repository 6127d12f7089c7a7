//! A connection to a host: straight or through a proxy, with TLS or without.

use super::{Resolve, TlsSetup};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::{
        legacy::connect::{Connected, Connection, HttpConnector, dns::Name, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower_service::Service;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection within {} seconds", .0.as_secs_f32())]
    Timeout(Duration),
    #[error("{0}")]
    Dial(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Tls(String),
}

/// Makes the connections of one client.
#[derive(Clone)]
pub(crate) struct Connector(Arc<ConnectorState>);

struct ConnectorState {
    dialer: HttpConnector<Resolver>,
    resolver: Arc<dyn Resolve>,
    proxies: Option<Matcher>,
    tls: TlsSetup,
    limit: Duration,
}

impl Connector {
    /// Without `proxies`, the environment's are not used.
    pub(crate) fn new(resolver: Arc<dyn Resolve>, proxies: Option<Matcher>, tls: TlsSetup, limit: Duration) -> Self {
        let mut dialer = HttpConnector::new_with_resolver(Resolver(resolver.clone()));
        dialer.enforce_http(false);
        dialer.set_nodelay(true);
        dialer.set_keepalive(Some(Duration::from_secs(60)));
        // Shared by the addresses of a host, so that a dead one leaves time for the next.
        dialer.set_connect_timeout(Some(limit));
        Self(Arc::new(ConnectorState { dialer, resolver, proxies, tls, limit }))
    }

    /// The `Proxy-Authorization` that a plain request has to carry itself.
    pub(crate) fn proxy_authorization(&self, url: &Uri) -> Option<http::HeaderValue> {
        let is_plain = url.scheme_str() == Some("http");
        is_plain.then(|| self.0.proxy(url))??.basic_auth().cloned()
    }
}

impl ConnectorState {
    fn proxy(&self, url: &Uri) -> Option<Intercept> {
        self.proxies.as_ref()?.intercept(url)
    }

    async fn connect(&self, url: Uri) -> Result<Stream, ConnectError> {
        let is_tls = url.scheme_str() == Some("https");
        let tcp = match self.proxy(&url) {
            None => self.dial(&url).await?,
            Some(proxy) => {
                if proxy.uri().scheme_str() != Some("http") {
                    return Err(ConnectError::Dial("only proxies at http:// URLs can be used".into()));
                }
                if !is_tls {
                    return Ok(Stream::Plain(TokioIo::new(self.dial(proxy.uri()).await?), Hop::Proxy));
                }
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.dialer.clone());
                if let Some(authorization) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                let through = tunnel.call(url.clone()).await;
                through
                    .map_err(|error| ConnectError::Dial(format!("proxy: {}", crate::error::causes(&error))))?
                    .into_inner()
            }
        };
        if !is_tls {
            return Ok(Stream::Plain(TokioIo::new(tcp), Hop::Straight));
        }
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let config = self.tls.of(&host).await.map_err(ConnectError::Tls)?;
        let name = ServerName::try_from(host).map_err(|error| ConnectError::Tls(error.to_string()))?;
        let tls = TlsConnector::from(config).connect(name, tcp).await.map_err(tls_refusal)?;
        Ok(Stream::Tls(Box::new(TokioIo::new(tls))))
    }

    async fn dial(&self, url: &Uri) -> Result<TcpStream, ConnectError> {
        // The dialer does not ask the resolver about a host that is an address.
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<std::net::IpAddr>() {
            let allowed = self.resolver.resolve(host).await.map_err(|error| dial_refusal(&error))?;
            if !allowed.contains(&address) {
                return Err(ConnectError::Forbidden(format!("{address} must not be connected to")));
            }
        }
        let dialed = self.dialer.clone().call(url.clone()).await;
        Ok(dialed.map_err(|error| dial_refusal(&error))?.into_inner())
    }
}

fn dial_refusal(error: &(dyn std::error::Error + 'static)) -> ConnectError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::PermissionDenied) {
            return ConnectError::Forbidden(error.to_string());
        }
        cause = error.source();
    }
    ConnectError::Dial(crate::error::causes(error))
}

fn tls_refusal(error: io::Error) -> ConnectError {
    let is_no_tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidMessage(_)));
    let hint = if is_no_tls { "; if the registry speaks plain HTTP, write http:// before its name" } else { "" };
    match error.kind() {
        // The peer left in the middle: nothing about certificates.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            ConnectError::Dial(format!("TLS handshake: {}", crate::error::causes(&error)))
        }
        _ => ConnectError::Tls(format!("TLS handshake: {}{hint}", crate::error::causes(&error))),
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = BoxFuture<Result<Stream, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let limit = shared.limit;
            tokio::time::timeout(limit, shared.connect(url)).await.unwrap_or(Err(ConnectError::Timeout(limit)))
        })
    }
}

/// Our resolver as the dialer wants it.
#[derive(Clone)]
struct Resolver(Arc<dyn Resolve>);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = resolver.resolve(name.as_str()).await?;
            if addresses.is_empty() {
                return Err(io::Error::other(format!("{name} has no address")));
            }
            Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
        })
    }
}

/// Whether a request goes to the server itself or names it to a proxy.
#[derive(Clone, Copy)]
pub(crate) enum Hop {
    Straight,
    Proxy,
}

/// A connection.
pub(crate) enum Stream {
    Plain(TokioIo<TcpStream>, Hop),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(_, hop) => Connected::new().proxy(matches!(hop, Hop::Proxy)),
            Self::Tls(tls) => match tls.inner().get_ref().1.alpn_protocol() {
                Some(b"h2") => Connected::new().negotiated_h2(),
                _ => Connected::new(),
            },
        }
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp, _) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp, _) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp, _) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp, _) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp, _) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp, _) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
        }
    }
}
