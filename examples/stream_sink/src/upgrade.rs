use std::fmt;
use std::future::Future;

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL,
    UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sockless::handshake::{HandshakeError, HttpVersion, check_request};
use sockless::{Config, Connection, Delivery, Role};
#[cfg(feature = "deflate")]
use {http::header::SEC_WEBSOCKET_EXTENSIONS, sockless::handshake::extensions};

use crate::{Error, WebSocket};

/// The transport of a request that was upgraded.
pub type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Upgrades a request that hyper or axum has read: the response to give, and the connection that opens
/// once it is sent. For subprotocols and compression, see [`WebSocketUpgrade`].
///
/// # Errors
///
/// As [`WebSocketUpgrade::new`].
#[expect(
    clippy::type_complexity,
    reason = "`impl Future` can have no other name"
)]
pub fn upgrade<B>(
    request: &mut Request<B>,
    config: Config,
) -> Result<
    (
        Response<()>,
        impl Future<Output = Result<WebSocket<Upgraded>, Error>> + use<B>,
    ),
    Rejection,
> {
    Ok(WebSocketUpgrade::new(request)?.config(config).accept())
}

/// A request for a WebSocket, found to be right; with the feature `axum` also an extractor.
///
/// Any page may send it: where cookies log in, compare `Origin` with
/// [`same_origin`](sockless::handshake::same_origin) first.
#[derive(Debug)]
pub struct WebSocketUpgrade {
    response: Response<()>,
    upgrade: OnUpgrade,
    config: Config,
    subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    offered: Vec<HeaderValue>,
    #[cfg(feature = "deflate")]
    agreed: Option<(sockless::deflate::Parameters, sockless::DeflateConfig)>,
}

impl WebSocketUpgrade {
    /// Checks a request (RFC 6455 §4.2.1).
    ///
    /// # Errors
    ///
    /// The rule that it breaks; [`Rejection::NotUpgradable`] if its connection does not serve upgrades.
    pub fn new<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        let upgrade = request.extensions_mut().remove();
        Self::check(
            request.method(),
            request.version(),
            request.headers(),
            upgrade,
        )
    }

    fn check(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
        upgrade: Option<OnUpgrade>,
    ) -> Result<Self, Rejection> {
        let version = match version {
            Version::HTTP_11 => HttpVersion::Http11,
            _ => HttpVersion::Http10,
        };
        let asked =
            check_request(method.as_str(), version, headers).map_err(Rejection::Handshake)?;
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let fields = response.headers_mut();
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.extend(HeaderValue::from_bytes(&asked.accept()).map(|v| (SEC_WEBSOCKET_ACCEPT, v)));
        Ok(Self {
            response,
            upgrade: upgrade.ok_or(Rejection::NotUpgradable)?,
            config: Config::default(),
            subprotocols: asked.subprotocols().map(str::to_owned).collect(),
            #[cfg(feature = "deflate")]
            offered: headers
                .get_all(SEC_WEBSOCKET_EXTENSIONS)
                .iter()
                .cloned()
                .collect(),
            #[cfg(feature = "deflate")]
            agreed: None,
        })
    }

    /// Sets the limits of the connection. What they say of compression has no effect.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Chooses the first of the client's subprotocols that is among these, if there is one.
    #[must_use]
    pub fn subprotocols<'a>(mut self, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<_> = known.into_iter().collect();
        let mut offered = self.subprotocols.iter();
        let chosen = offered.find(|name| known.contains(&name.as_str()));
        if let Some(Ok(name)) = chosen.map(|name| HeaderValue::from_str(name)) {
            self.response
                .headers_mut()
                .insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        self
    }

    /// The subprotocol that was chosen.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.response
            .headers()
            .get(SEC_WEBSOCKET_PROTOCOL)?
            .to_str()
            .ok()
    }

    /// Compresses messages if the client can too. Clones of `deflate` share a pool of codecs.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: sockless::DeflateConfig) -> Self {
        let offered = self
            .offered
            .iter()
            .flat_map(|value| extensions(value.as_bytes()));
        if let Some(agreed) = deflate.choose(offered.flatten()) {
            let value =
                HeaderValue::try_from(agreed.to_string()).map(|v| (SEC_WEBSOCKET_EXTENSIONS, v));
            self.response.headers_mut().extend(value);
            self.agreed = Some((agreed, deflate));
        }
        self
    }

    /// The response to give, and the connection that opens once it is sent.
    pub fn accept(
        self,
    ) -> (
        Response<()>,
        impl Future<Output = Result<WebSocket<Upgraded>, Error>>,
    ) {
        let config = self.config.delivery(Delivery::Messages);
        #[cfg(feature = "deflate")]
        let connection = match self.agreed {
            Some((agreed, deflate)) => {
                Connection::upgraded_with(Role::Server, Some(agreed), config.deflate(deflate))
            }
            None => Connection::upgraded(Role::Server, config),
        };
        #[cfg(not(feature = "deflate"))]
        let connection = Connection::upgraded(Role::Server, config);
        let opening = async {
            let stream = TokioIo::new(self.upgrade.await.map_err(Error::Upgrade)?);
            Ok(WebSocket::new(stream, connection, &[]))
        };
        (self.response, opening)
    }

    /// Answers the request, and calls `handler` in a task of its own once the connection is open. It is not
    /// called if the client goes before that.
    #[cfg(feature = "axum")]
    pub fn on_upgrade<F>(
        self,
        handler: impl FnOnce(WebSocket<Upgraded>) -> F + Send + 'static,
    ) -> axum_core::response::Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (response, opening) = self.accept();
        tokio::spawn(async {
            if let Ok(ws) = opening.await {
                handler(ws).await;
            }
        });
        response.map(|()| axum_core::body::Body::empty())
    }
}

/// Why a request is not upgraded.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// It breaks this rule.
    Handshake(HandshakeError),
    /// Its connection is served without upgrades, or it was upgraded already.
    NotUpgradable,
}

impl Rejection {
    /// The response that says so, with the status and the fields that the rule wants.
    pub fn response<B: From<String>>(self) -> Response<B> {
        let (status, fields) = match self {
            Self::Handshake(error) => (error.status().unwrap_or(400), error.headers()),
            Self::NotUpgradable => (500, &[][..]),
        };
        let mut response = Response::new(format!("{self}\n").into());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let fields = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        response.headers_mut().extend(fields);
        response
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::NotUpgradable => f.write_str("connection that cannot be upgraded"),
        }
    }
}

impl std::error::Error for Rejection {}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Rejection {
    fn into_response(self) -> axum_core::response::Response {
        self.response()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Rejection;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Rejection> {
        let upgrade = parts.extensions.remove();
        Self::check(&parts.method, parts.version, &parts.headers, upgrade)
    }
}
