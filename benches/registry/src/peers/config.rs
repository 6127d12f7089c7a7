//! The configuration of each peer: the fairest one, with a request log in a file.

use serde_json::json;

use super::{Peer, PeerPlace};
use crate::Result;
use crate::target::{ADMIN, ONE, ONES};

/// Arguments and environment of a program.
type Given = (Vec<String>, Vec<(String, String)>);

/// Writes the configuration of a peer into its directory; returns how to start it.
pub fn write(place: &PeerPlace<'_>) -> Result<Given> {
    match place.side.peer {
        Peer::Wharfinger => wharfinger(place),
        Peer::Nginx => nginx(place),
        Peer::DockerRegistry | Peer::Distribution => distribution(place),
        Peer::Zot => zot(place),
        Peer::Floor => Ok((vec!["floor".into(), place.port.to_string(), text(&place.data)], Vec::new())),
    }
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn wharfinger(place: &PeerPlace<'_>) -> Result<Given> {
    // With rules: the access check is part of what is measured.
    let rules = if place.side.basic {
        json!([{"repository": ONES, "users": [ONE.0], "permissions": ["pull"]}])
    } else {
        json!([{"repository": "**", "users": ["anonymous"], "permissions": ["pull", "push", "delete"]}])
    };
    let access = json!({"defaultPolicy": "deny", "adminUsers": [ADMIN.0], "rules": rules});
    std::fs::write(place.home.join("access.json"), access.to_string())?;
    let settings =
        format!("[server]\nshutdown_lag_seconds = 0\ndrain_seconds = 1\n[scrub]\nenabled = {}\n", !place.side.rest);
    std::fs::write(place.home.join("settings.toml"), settings)?;
    let mut environment = vec![
        ("REGISTRY_HOST".to_owned(), "127.0.0.1".to_owned()),
        ("REGISTRY_PORT".into(), place.port.to_string()),
        ("REGISTRY_STORAGE_PATH".into(), text(&place.data)),
        ("REGISTRY_SETTINGS".into(), text(&place.home.join("settings.toml"))),
        ("REGISTRY_ACCESS_CONTROL_ENABLED".into(), "true".into()),
        ("REGISTRY_ACCESS_CONTROL_CONFIG".into(), text(&place.home.join("access.json"))),
    ];
    if place.side.basic {
        environment.push(("REGISTRY_AUTH_TYPE".into(), "basic".into()));
        environment.push(("REGISTRY_AUTH_HTPASSWD".into(), text(&place.home.join("htpasswd"))));
    }
    if place.side.tls {
        environment.push(("REGISTRY_TLS_CERT".into(), text(&place.home.join("cert.pem"))));
        environment.push(("REGISTRY_TLS_KEY".into(), text(&place.home.join("key.pem"))));
    }
    Ok((Vec::new(), environment))
}

fn nginx(place: &PeerPlace<'_>) -> Result<Given> {
    let home = text(place.home);
    let tls = if place.side.tls {
        format!("ssl_certificate {home}/cert.pem; ssl_certificate_key {home}/key.pem; ssl_session_cache off;")
    } else {
        String::new()
    };
    let cache = if place.side.cache { "open_file_cache max=10000 inactive=60s;" } else { "" };
    let listen = if place.side.tls { " ssl" } else { "" };
    // nginx switches its workers to another user only when started by root.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let conf = format!(
        "{user}
worker_processes auto;
daemon off;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {home}/access.log;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 300s;
    {cache}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port}{listen} backlog=1024;
        {tls}
        root {data};
        location = /v2/ {{ return 200 '{{}}'; }}
    }}
}}
",
        port = place.port,
        data = text(&place.data),
    );
    std::fs::write(place.home.join("nginx.conf"), conf)?;
    Ok((vec!["-c".into(), format!("{home}/nginx.conf"), "-p".into(), home], Vec::new()))
}

fn distribution(place: &PeerPlace<'_>) -> Result<Given> {
    let home = text(place.home);
    let tls = if place.side.tls {
        format!("  tls:\n    certificate: {home}/cert.pem\n    key: {home}/key.pem\n")
    } else {
        String::new()
    };
    let auth = if place.side.basic {
        format!("auth:\n  htpasswd:\n    realm: bench\n    path: {home}/htpasswd\n")
    } else {
        String::new()
    };
    // The access log stays on; the lines about each step of a request, which no other peer writes, do not.
    let conf = format!(
        "version: 0.1
log:
  level: error
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
  secret: not-a-secret
{tls}{auth}",
        data = text(&place.data),
        port = place.port,
    );
    std::fs::write(place.home.join("config.yml"), conf)?;
    // Version 3 tries to export traces unless this turns it off.
    let quiet = vec![("OTEL_TRACES_EXPORTER".to_owned(), "none".to_owned())];
    Ok((vec!["serve".into(), format!("{home}/config.yml")], quiet))
}

fn zot(place: &PeerPlace<'_>) -> Result<Given> {
    let home = text(place.home);
    let mut http = json!({"address": "127.0.0.1", "port": place.port.to_string()});
    if place.side.tls {
        http["tls"] = json!({"cert": format!("{home}/cert.pem"), "key": format!("{home}/key.pem")});
    }
    if place.side.basic {
        http["auth"] = json!({"htpasswd": {"path": format!("{home}/htpasswd")}});
    }
    let conf = json!({"distSpecVersion": "1.1.1", "http": http,
        // Without it zot answers before anything is on the disk.
        "storage": {"rootDirectory": text(&place.data), "commit": true},
        "log": {"level": "info", "output": format!("{home}/zot.log")}});
    std::fs::write(place.home.join("zot.json"), conf.to_string())?;
    Ok((vec!["serve".into(), format!("{home}/zot.json")], Vec::new()))
}
