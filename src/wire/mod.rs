//! Request and response bytes on their connections: what the server knows of a connection, the bodies, the memory they
//! hold, and the time that clients may take. Requests are parsed elsewhere, and sockets belong to the server.

pub mod awake;
pub mod body;
pub mod conn;
pub mod memory;
pub mod outbox;
pub mod request;
pub mod sendfile;
pub mod stall;
pub mod verification;

pub use body::ResponseBody;
pub use memory::ClientMemory;
pub use request::RequestBody;

/// Any error that ends a body early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
