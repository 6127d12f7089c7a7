//! A small token service: it knows the users and their rights, and tells the registry in signed
//! tokens. README.md beside this file says how to run it. This file is key, HTTP and tokens.

mod policy;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use clap::Parser as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Longest head of a request (with its query), and longest body, in bytes.
const MOST_HEAD: usize = 16 << 10;
const MOST_BODY: usize = 16 << 10;
/// Connections at a time, and how long each may last: one request and its answer.
const MOST_CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(30);

/// An example of a token service for a container registry.
#[derive(clap::Parser)]
#[command(name = "token-service")]
struct ServiceFlags {
    /// Where to listen. Passwords pass here: beyond this machine only behind TLS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5001")]
    listen: SocketAddr,
    /// Private key that signs: Ed25519 or P-256, in PEM (PKCS#8)
    #[arg(long, value_name = "PATH", default_value = "token-key.pem")]
    key: PathBuf,
    /// Users and their bcrypt hashes
    #[arg(long, value_name = "PATH", default_value = "htpasswd")]
    htpasswd: PathBuf,
    /// Who may do what
    #[arg(long, value_name = "PATH", default_value = "policy.json")]
    policy: PathBuf,
    /// Issuer of the tokens, the registry's REGISTRY_AUTH_TOKEN_ISSUER
    #[arg(long, value_name = "TEXT", default_value = "token-service")]
    issuer: String,
    /// Audience of the tokens, the registry's REGISTRY_AUTH_TOKEN_SERVICE
    #[arg(long, value_name = "TEXT", default_value = "registry")]
    service: String,
    /// How long a token is good; until then a removed user or right still works
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(i64).range(60..=86_400))]
    lifetime: i64,
    /// Print the public key as a JWK set, and end
    #[arg(long)]
    print_jwks: bool,
}

/// What signs, and its public half.
struct Key {
    header: Header,
    private: EncodingKey,
    jwks: Value,
}

struct Service {
    flags: ServiceFlags,
    key: Key,
    users: policy::PolicyUsers,
    policy: policy::TokenPolicy,
    /// bcrypt is slow on purpose: it gets half of the cores, however many ask.
    hashing: Arc<Semaphore>,
}

/// An answer that is no success. The text goes to the client and never quotes what it sent.
struct Refusal(StatusCode, &'static str);

const WRONG: Refusal = Refusal(StatusCode::UNAUTHORIZED, "wrong user name or password");

impl Key {
    fn read(path: &PathBuf) -> Result<Self, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let unusable = || wrong(&"is not an Ed25519 or P-256 key in PEM (BEGIN PRIVATE KEY)");
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
        let der = der.secret_pkcs8_der();
        let candidates =
            [(Algorithm::EdDSA, EncodingKey::from_ed_der(der)), (Algorithm::ES256, EncodingKey::from_ec_der(der))];
        let (alg, private, mut jwk) = candidates
            .into_iter()
            .find_map(|(alg, key)| jwk::Jwk::from_encoding_key(&key, alg).ok().map(|jwk| (alg, key, jwk)))
            .ok_or_else(unusable)?;
        // The id is made of the key (RFC 7638), so that no new key ever has an old one's.
        let kid = jwk.thumbprint(jwk::ThumbprintHash::SHA256).map_err(|error| wrong(&error))?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(jwk::PublicKeyUse::Signature);
        Ok(Self { header: Header { kid: Some(kid), ..Header::new(alg) }, private, jwks: json!({ "keys": [jwk] }) })
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let result = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::POST, "/token") => self.token(request).await,
            (&Method::GET, "/jwks.json") => Ok(self.key.jwks.clone()),
            _ => Err(Refusal(StatusCode::NOT_FOUND, "there is GET and POST /token, and GET /jwks.json")),
        };
        let (status, body) = result.map_or_else(
            |Refusal(status, why)| {
                // The form of a registry's errors, which its clients read here too.
                let code = if status == StatusCode::UNAUTHORIZED { "UNAUTHORIZED" } else { "UNKNOWN" };
                (status, json!({"errors": [{"code": code, "message": why}]}))
            },
            |body| (StatusCode::OK, body),
        );
        let mut response = Response::new(Full::from(body.to_string()));
        *response.status_mut() = status;
        let mut header = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        header(header::CONTENT_TYPE, "application/json");
        header(header::CACHE_CONTROL, "no-store");
        if status == StatusCode::UNAUTHORIZED {
            header(header::WWW_AUTHENTICATE, r#"Basic realm="token-service", charset="UTF-8""#);
        }
        response
    }

    /// GET has the password in a header and the rest in the query, POST has all in a form. `account`,
    /// `client_id` and `offline_token` change nothing: the password proves the account, and there
    /// are no refresh tokens here.
    async fn token(&self, request: Request<Incoming>) -> Result<Value, Refusal> {
        let bad = |why| Refusal(StatusCode::BAD_REQUEST, why);
        let (parts, body) = request.into_parts();
        let is_form = parts.method == Method::POST;
        let text = if is_form {
            let body = Limited::new(body, MOST_BODY).collect().await;
            body.map_err(|_| Refusal(StatusCode::PAYLOAD_TOO_LARGE, "a form has at most 16 KiB"))?.to_bytes()
        } else {
            Bytes::from(parts.uri.query().unwrap_or_default().to_owned())
        };
        let fields: Vec<_> = form_urlencoded::parse(&text).collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        let credentials = if is_form {
            if field("grant_type") != Some("password") {
                return Err(bad("grant_type has to be password"));
            }
            Some((field("username").unwrap_or("").to_owned(), field("password").unwrap_or("").to_owned()))
        } else {
            basic(&parts.headers)?
        };
        if field("service").is_some_and(|service| service != self.flags.service) {
            return Err(bad("tokens for that service are not made here"));
        }
        let user = self.verify(credentials).await?;
        // Some clients repeat the field, others put several scopes into one.
        let scopes = fields.iter().filter(|(key, _)| key == "scope").flat_map(|(_, scope)| scope.split_whitespace());
        self.sign(user.as_deref(), scopes)
    }

    /// Who this is; `None` is nobody.
    async fn verify(&self, credentials: Option<(String, String)>) -> Result<Option<String>, Refusal> {
        // By an empty name and password podman and skopeo say that nobody is logged in.
        let given = credentials.filter(|(name, password)| !name.is_empty() || !password.is_empty());
        let Some((name, password)) = given else { return Ok(None) };
        let (hash, known) = self.users.hash(&name);
        let thread = self.hashing.clone().acquire_owned().await;
        let verifying = tokio::task::spawn_blocking(move || {
            let _thread = thread;
            // bcrypt looks at 72 bytes; a longer password is refused, not cut.
            bcrypt::non_truncating_verify(password, &hash).unwrap_or(false)
        });
        if verifying.await.unwrap_or(false) && known {
            return Ok(Some(name));
        }
        // An unknown name is not logged: people type passwords into that field.
        eprintln!("refused: wrong password for {}", if known { &name } else { "an unknown user" });
        Err(WRONG)
    }

    /// The reply with the token. To ask for more than is granted is no error, and neither is to ask
    /// for nothing: that is how `docker login` tries a password.
    fn sign<'a>(&'a self, user: Option<&str>, scopes: impl Iterator<Item = &'a str>) -> Result<Value, Refusal> {
        let (mut access, mut scope) = (Vec::new(), Vec::new());
        for ((kind, name), actions) in self.policy.grant(user, scopes) {
            scope.push(format!("{kind}:{name}:{}", Vec::from_iter(actions.iter().copied()).join(",")));
            access.push(json!({"type": kind, "name": name, "actions": actions}));
        }
        let now = jiff::Timestamp::now();
        let claims = json!({
            "iss": self.flags.issuer,
            "sub": user.unwrap_or(""),
            "aud": self.flags.service,
            "exp": now.as_second() + self.flags.lifetime,
            "nbf": now.as_second(),
            "iat": now.as_second(),
            "jti": uuid::Uuid::new_v4(),
            "access": access,
        });
        let token = jsonwebtoken::encode(&self.key.header, &claims, &self.key.private)
            .map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the token could not be signed"))?;
        let scope = scope.join(" ");
        eprintln!("token for {}: [{scope}]", user.unwrap_or("anonymous"));
        Ok(json!({
            "token": token,
            "access_token": token,
            "expires_in": self.flags.lifetime,
            "issued_at": format!("{now:.0}"),
            "scope": scope,
        }))
    }
}

/// Name and password of `Authorization: Basic`; without the header there are none.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let (scheme, encoded) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(WRONG)?;
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(WRONG)?;
    match decoded.split_once(':') {
        Some((name, password)) if scheme.eq_ignore_ascii_case("basic") => Ok(Some((name.into(), password.into()))),
        _ => Err(WRONG),
    }
}

async fn run() -> Result<(), String> {
    let flags = ServiceFlags::parse();
    let key = Key::read(&flags.key)?;
    if flags.print_jwks {
        println!("{:#}", key.jwks);
        return Ok(());
    }
    let (users, policy) = (policy::PolicyUsers::read(&flags.htpasswd)?, policy::TokenPolicy::read(&flags.policy)?);
    let listener = TcpListener::bind(flags.listen).await.map_err(|error| format!("{}: {error}", flags.listen))?;
    println!("listening on http://{}", listener.local_addr().map_err(|error| error.to_string())?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hashing = Arc::new(Semaphore::new((cores / 2).max(1)));
    let service = Arc::new(Service { flags, key, users, policy, hashing });
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            // Mostly: out of file descriptors. Some will be free again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = service.clone();
        tokio::spawn(async move {
            let _place = place;
            let answer = service_fn(|request| async { Ok::<_, Infallible>(service.answer(request).await) });
            let mut http = http1::Builder::new();
            let connection =
                http.keep_alive(false).max_buf_size(MOST_HEAD).serve_connection(TokioIo::new(stream), answer);
            // What goes wrong here is the client's: it left, or was too slow.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        });
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // Said here, so that a dependency that brings another backend does not make the choice ambiguous.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    if let Err(why) = run().await {
        eprintln!("token-service: {why}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
