//! Agreeing on permessage-deflate (RFC 7692 §5, §7.1): conformance R280 to R322.
#![cfg(feature = "deflate")]

mod common;
mod deflate_support;
mod handshake_support;

use handshake_support::{Head, fixed_entropy, serve};
use sockless::deflate::Parameters;
use sockless::handshake::{HandshakeError, HttpVersion, Offer, check_request, extensions};
use sockless::{ClientRequest, Config, Connection, DeflateConfig, Error, Event, Response, Role};

const FIELD: &str = "Sec-WebSocket-Extensions";

/// Asks for nothing, so that what is answered was asked for by the client.
fn lax() -> DeflateConfig {
    DeflateConfig::new()
        .server_context_takeover()
        .client_context_takeover()
}

/// What a server with this configuration answers to an offer, by both of its ways.
fn answer(config: &DeflateConfig, offer: &str) -> Option<String> {
    let by_value = config.choose(extensions(offer.as_bytes()).flatten());
    let request = Head::request().add(FIELD, offer).bytes();
    let mut ws = Connection::server(Config::default().deflate(config.clone()));
    assert_eq!(common::feed(&mut ws, &request).len(), 1, "{offer}");
    ws.accept(Response::default()).unwrap();
    assert_eq!(ws.deflate(), by_value);
    let head = String::from_utf8(common::drain(&mut ws)).unwrap();
    let field = head
        .lines()
        .filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "))
        .collect::<Vec<_>>();
    // R292, R293: once, or not at all.
    assert!(field.len() <= 1);
    let field = field.first().map(|value| (*value).to_owned());
    assert_eq!(by_value.map(|agreed| agreed.to_string()), field);
    field
}

/// What a client makes of a response.
fn open_client(config: &Config, response: &[u8]) -> (Connection, Vec<Event<'static>>) {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let config = config.clone().entropy(fixed_entropy);
    let mut ws = Connection::client(request, config).unwrap();
    common::drain(&mut ws);
    let events = common::feed(&mut ws, response);
    (ws, events)
}

fn error_of(events: &[Event<'_>]) -> Option<HandshakeError> {
    match events {
        [Event::Fail(Error::Handshake(error))] => Some(*error),
        _ => None,
    }
}

fn deflate(parameters: &str) -> String {
    format!("permessage-deflate{parameters}")
}

/// What a client with this configuration makes of a response, by both of its ways.
fn judge(config: &DeflateConfig, value: &str) -> Result<Option<Parameters>, HandshakeError> {
    let response = Head::response().add(FIELD, value);
    let (connection, by_bytes) = open_client(
        &Config::default().deflate(config.clone()),
        &response.bytes(),
    );
    let headers = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", handshake_support::ACCEPT),
        ("sec-websocket-extensions", value),
    ];
    let by_fields = Offer::new(handshake_support::KEY.as_bytes())
        .deflate(config)
        .check(101, headers);
    match by_fields {
        Ok(agreed) => {
            assert!(matches!(by_bytes.as_slice(), [Event::Open(_)]));
            assert_eq!(connection.deflate(), agreed.deflate);
            Ok(agreed.deflate)
        }
        Err(error) => {
            assert_eq!(error_of(&by_bytes), Some(error));
            assert!(connection.output().is_empty());
            Err(error)
        }
    }
}

const BAD: [&str; 30] = [
    // R280: never a value.
    "; server_no_context_takeover=1",
    "; server_no_context_takeover=true",
    "; server_no_context_takeover=\"1\"",
    "; client_no_context_takeover=1",
    "; client_no_context_takeover=\"x\"",
    // R281, T49: 8 to 15, in decimal.
    "; server_max_window_bits=7",
    "; server_max_window_bits=16",
    "; server_max_window_bits=0",
    "; server_max_window_bits=08",
    "; server_max_window_bits=015",
    "; server_max_window_bits=+9",
    "; server_max_window_bits=-9",
    "; server_max_window_bits=9.0",
    "; server_max_window_bits=0x9",
    "; server_max_window_bits=1",
    "; server_max_window_bits=99999999999999999999999999999999999999999",
    "; server_max_window_bits=4294967306",
    "; client_max_window_bits=7",
    "; client_max_window_bits=16",
    "; client_max_window_bits=08",
    "; client_max_window_bits=ten",
    // R283.
    "; server_max_window_bits",
    // R285.
    "; server_no_context_takeover; server_no_context_takeover",
    "; client_no_context_takeover; client_no_context_takeover",
    "; server_max_window_bits=10; server_max_window_bits=10",
    "; client_max_window_bits; client_max_window_bits=10",
    "; client_max_window_bits=10; client_max_window_bits",
    // R286.
    "; unknown",
    "; server_max_window_bits_=10",
    "; server_max_window=10",
];

#[test]
fn r280_to_r286_r290_t49_malformed_offers_are_declined() {
    for parameters in BAD {
        assert_eq!(answer(&lax(), &deflate(parameters)), None, "{parameters}");
        // R290: and the next is looked at.
        let two = format!("{}, permessage-deflate", deflate(parameters));
        assert_eq!(answer(&lax(), &two), Some(deflate("")), "{parameters}");
        let first = format!("permessage-deflate, {}", deflate(parameters));
        assert_eq!(answer(&lax(), &first), Some(deflate("")), "{parameters}");
    }
    // Another name is another extension: R106, R286.
    for name in [
        "permessage-deflat",
        "permessage-deflate2",
        "Permessage-Deflate",
        "x-webkit-deflate-frame",
    ] {
        assert_eq!(answer(&lax(), name), None);
    }
}

#[test]
fn r280_r281_r103_an_empty_value_is_no_value_at_all() {
    for parameter in ["server_no_context_takeover", "server_max_window_bits"] {
        for value in ["=", "=\"\""] {
            let offer = deflate(&format!("; {parameter}{value}"));
            let request = Head::request().add(FIELD, offer).bytes();
            let config = Config::default().deflate(lax());
            let outcome = serve(&config, &request, |_| {});
            assert_eq!(outcome.error(), Some(HandshakeError::InvalidExtensions));
        }
    }
}

#[test]
fn r282_r284_values_in_quotes() {
    for (offer, response) in [
        (
            "; server_max_window_bits=\"10\"",
            "; server_max_window_bits=10",
        ),
        (
            "; server_max_window_bits=\"1\\0\"",
            "; server_max_window_bits=10",
        ),
        (
            "; client_max_window_bits=\"9\"",
            "; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(answer(&lax(), &deflate(offer)), Some(deflate(response)));
    }
}

#[test]
fn r291_first_acceptable_offer_wins() {
    for (offers, response) in [
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
             permessage-deflate; client_max_window_bits",
            "; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            "",
        ),
        (
            "foo; bar, permessage-deflate; server_no_context_takeover, permessage-deflate",
            "; server_no_context_takeover",
        ),
        ("foo; server_max_window_bits=9, permessage-deflate,,", ""),
    ] {
        assert_eq!(answer(&lax(), offers), Some(deflate(response)), "{offers}");
    }
    // Several lines are one list.
    let request = Head::request()
        .add(FIELD, "permessage-deflate; server_max_window_bits=8")
        .add(FIELD, "permessage-deflate; server_max_window_bits=12")
        .bytes();
    let outcome = serve(&Config::default().deflate(lax()), &request, |ws| {
        ws.accept(Response::default()).unwrap();
    });
    let line = "\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n";
    assert!(outcome.text().contains(line));
}

#[test]
fn r292_r293_declined_or_not_configured() {
    for offer in ["foo", "permessage-deflate; server_max_window_bits=8"] {
        assert_eq!(answer(&lax(), offer), None);
    }
    let request = Head::request().add(FIELD, "permessage-deflate").bytes();
    let outcome = serve(&Config::default(), &request, |ws| {
        ws.accept(Response::default()).unwrap();
        assert_eq!(ws.deflate(), None);
    });
    assert!(!outcome.text().contains("xtensions"));
    // R303: nobody else's extension is ever agreed to.
    assert_eq!(
        answer(&lax(), "x-mux, permessage-deflate, x-other"),
        Some(deflate(""))
    );
    let without = serve(
        &Config::default().deflate(lax()),
        &Head::request().bytes(),
        |ws| {
            ws.accept(Response::default()).unwrap();
            assert_eq!(ws.deflate(), None);
        },
    );
    assert!(!without.text().contains("xtensions"));
}

#[test]
fn r294_r295_r296_takeover() {
    let both = "; server_no_context_takeover; client_no_context_takeover";
    let server = "; server_no_context_takeover";
    let client = "; client_no_context_takeover";
    for (config, offer, response) in [
        (lax(), "", ""),
        (lax(), server, server),
        (lax(), client, client),
        (lax(), both, both),
        (DeflateConfig::new(), "", both),
        (DeflateConfig::new(), server, both),
        (DeflateConfig::new(), client, both),
        (DeflateConfig::new().client_context_takeover(), "", server),
        (DeflateConfig::new().server_context_takeover(), "", client),
    ] {
        assert_eq!(answer(&config, &deflate(offer)), Some(deflate(response)));
    }
}

#[test]
fn r297_r298_r302_t49_window_of_the_server() {
    for own in 8..=15 {
        let config = lax().server_max_window_bits(own);
        for offered in 8..=15 {
            let response = answer(
                &config,
                &deflate(&format!("; server_max_window_bits={offered}")),
            );
            if offered == 8 {
                assert_eq!(response, None);
                continue;
            }
            let bits = offered.min(own.max(9));
            let expected = deflate(&format!("; server_max_window_bits={bits}"));
            assert_eq!(response, Some(expected));
        }
        // R298: stated unasked, where it is not the default; never a window that is not kept to.
        let expected = match own {
            15 => deflate(""),
            _ => deflate(&format!("; server_max_window_bits={}", own.max(9))),
        };
        assert_eq!(answer(&config, "permessage-deflate"), Some(expected));
    }
}

#[test]
fn r299_r300_r301_t49_window_of_the_client() {
    for own in 8..=15 {
        let config = lax().client_max_window_bits(own);
        for hint in 8..=15 {
            let response = answer(
                &config,
                &deflate(&format!("; client_max_window_bits={hint}")),
            );
            let expected = match own.min(hint) {
                15 => deflate(""),
                bits => deflate(&format!("; client_max_window_bits={bits}")),
            };
            assert_eq!(response, Some(expected));
        }
        let expected = match own {
            15 => deflate(""),
            bits => deflate(&format!("; client_max_window_bits={bits}")),
        };
        let valueless = answer(&config, "permessage-deflate; client_max_window_bits");
        assert_eq!(valueless, Some(expected));
        // R299, R301: not where the offer has none.
        assert_eq!(answer(&config, "permessage-deflate"), Some(deflate("")));
    }
}

#[test]
fn offers_of_a_client() {
    for (config, offer) in [
        (lax(), "; client_max_window_bits"),
        (
            DeflateConfig::new(),
            "; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
        ),
        (
            lax().client_max_window_bits(10),
            "; client_max_window_bits=10",
        ),
        // R302: no hint that is not kept to.
        (
            lax().client_max_window_bits(8),
            "; client_max_window_bits=9",
        ),
        (
            lax().server_max_window_bits(8),
            "; server_max_window_bits=8; client_max_window_bits",
        ),
    ] {
        assert_eq!(config.offer(), deflate(offer));
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let config = Config::default().deflate(config);
        let ws = Connection::client(request, config).unwrap();
        let head = String::from_utf8(ws.output().to_vec()).unwrap();
        let line = format!("\r\n{FIELD}: {}\r\n", deflate(offer));
        assert_eq!(head.matches(&line).count(), 1);
    }
}

/// An offer can leave `client_max_window_bits` out, for servers that refuse it; then none may be set.
#[test]
fn r284_r315_r397_t71_offer_without_a_window_of_the_client() {
    let bare = lax().without_client_max_window_bits();
    for (config, offer) in [
        (bare.clone(), ""),
        (
            DeflateConfig::new().without_client_max_window_bits(),
            "; server_no_context_takeover; client_no_context_takeover",
        ),
        // Whatever it keeps to.
        (bare.clone().client_max_window_bits(10), ""),
        (
            bare.clone().server_max_window_bits(10),
            "; server_max_window_bits=10",
        ),
    ] {
        assert_eq!(config.offer(), deflate(offer));
        let request = ClientRequest::new("ws://example.com/").unwrap();
        let ws = Connection::client(request, Config::default().deflate(config)).unwrap();
        let head = String::from_utf8(ws.output().to_vec()).unwrap();
        let line = format!("\r\n{FIELD}: {}\r\n", deflate(offer));
        assert_eq!(head.matches(&line).count(), 1);
    }
    for bits in 8..=15 {
        let value = deflate(&format!("; client_max_window_bits={bits}"));
        let refused = Err(HandshakeError::UnacceptableExtension);
        assert_eq!(judge(&bare, &value), refused);
        let agreed = judge(&lax(), &value).unwrap().unwrap();
        assert_eq!(agreed.client_max_window_bits, Some(bits));
    }
    assert!(judge(&bare, "permessage-deflate").unwrap().is_some());
    // Nor does a server of ours set one, with any window of its own; as a server it is as before.
    for bits in 8..=15 {
        let server = lax().client_max_window_bits(bits);
        assert_eq!(answer(&server, &bare.offer()), Some(deflate("")));
        let both = server.without_client_max_window_bits();
        let expected = answer(&lax().client_max_window_bits(bits), &lax().offer());
        assert_eq!(answer(&both, &lax().offer()), expected);
    }
}

#[test]
fn r310_r312_r322_extensions_of_a_response() {
    let unoffered = Err(HandshakeError::UnofferedExtension);
    for value in [
        "foo",
        "permessage-deflate, foo",
        "foo, permessage-deflate",
        "permessage-deflate, permessage-deflate",
        "Permessage-Deflate",
    ] {
        assert_eq!(judge(&lax(), value), unoffered, "{value}");
    }
    // R310: nothing was offered.
    let response = Head::response().add(FIELD, "permessage-deflate");
    let (_, events) = open_client(&Config::default(), &response.bytes());
    assert_eq!(error_of(&events), Some(HandshakeError::UnofferedExtension));
    // R322: none is agreed to.
    let (ws, events) = open_client(&Config::default().deflate(lax()), &Head::response().bytes());
    assert!(matches!(events.as_slice(), [Event::Open(_)]));
    assert_eq!(ws.deflate(), None);
}

#[test]
fn r311_t49_malformed_responses() {
    for parameters in BAD {
        assert_eq!(
            judge(&lax(), &deflate(parameters)),
            Err(HandshakeError::UnacceptableExtension),
            "{parameters}"
        );
    }
    // R284: in a response the window has a value.
    assert_eq!(
        judge(&lax(), "permessage-deflate; client_max_window_bits"),
        Err(HandshakeError::UnacceptableExtension)
    );
}

#[test]
fn r313_r314_what_was_demanded_is_missing() {
    let server_resets = DeflateConfig::new().client_context_takeover();
    let window = lax().server_max_window_bits(10);
    for (config, value) in [
        (&server_resets, ""),
        (&server_resets, "; client_no_context_takeover"),
        (&window, ""),
        (&window, "; server_max_window_bits=11"),
        (&window, "; server_max_window_bits=15"),
    ] {
        let judged = judge(config, &deflate(value));
        assert_eq!(
            judged,
            Err(HandshakeError::UnacceptableExtension),
            "{value}"
        );
    }
    for (config, value) in [
        (&server_resets, "; server_no_context_takeover"),
        (&window, "; server_max_window_bits=10"),
        (&window, "; server_max_window_bits=9"),
        (&window, "; server_max_window_bits=8"),
    ] {
        // R321: one offer is made, so the response alone says what it is.
        let agreed = judge(config, &deflate(value)).unwrap().unwrap();
        assert_eq!(agreed.to_string(), deflate(value));
    }
}

#[test]
fn r316_r317_r318_r319_r320_what_was_not_asked_for() {
    for value in [
        "",
        "; server_no_context_takeover",
        "; client_no_context_takeover",
        "; server_max_window_bits=9",
        "; server_max_window_bits=15",
        "; client_max_window_bits=15",
        // R320: accepted; nothing is then compressed.
        "; client_max_window_bits=8",
        "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
         client_max_window_bits=11",
    ] {
        // R316: above the hint, too. R319: none of it is anything that a client cannot go on with.
        for config in [lax(), lax().client_max_window_bits(9)] {
            let agreed = judge(&config, &deflate(value)).unwrap().unwrap();
            assert_eq!(agreed.to_string(), deflate(value));
        }
    }
}

/// Both ends of the crate, for each pair of configurations, come to terms and understand each other.
#[test]
fn t46_t49_both_ends() {
    let mut configs = vec![DeflateConfig::new(), lax()];
    for bits in [8, 9, 12, 15] {
        configs.push(lax().server_max_window_bits(bits));
        configs.push(DeflateConfig::new().client_max_window_bits(bits));
    }
    for client_config in &configs {
        for server_config in &configs {
            let (mut client, mut server) = opened(client_config, server_config);
            let agreed = server.deflate();
            assert_eq!(client.deflate(), agreed);
            // R302: only the window that a server cannot keep to is declined.
            let demands_8 = client_config.offer().contains("server_max_window_bits=8");
            assert_eq!(agreed.is_none(), demands_8);
            for round in 0..4 {
                let said = deflate_support::prose(round / 2, 3000);
                client.send_text(&said).unwrap();
                assert_eq!(carry(&mut client, &mut server), [common::text(&said)]);
                server.send_text(&said).unwrap();
                assert_eq!(carry(&mut server, &mut client), [common::text(&said)]);
            }
        }
    }
}

fn carry(from: &mut Connection, to: &mut Connection) -> Vec<Event<'static>> {
    let bytes = common::drain(from);
    common::feed(to, &bytes)
}

fn opened(client: &DeflateConfig, server: &DeflateConfig) -> (Connection, Connection) {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let config = Config::default().deflate(client.clone());
    let mut client = Connection::client(request, config).unwrap();
    let mut server = Connection::server(Config::default().deflate(server.clone()));
    let events = carry(&mut client, &mut server);
    assert!(matches!(events.as_slice(), [Event::Request(_)]));
    server.accept(Response::default()).unwrap();
    let events = carry(&mut server, &mut client);
    assert!(matches!(events.as_slice(), [Event::Open(_)]));
    (client, server)
}

#[test]
fn foreign_http_stacks() {
    let headers = [
        ("host", "example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", handshake_support::KEY),
        ("sec-websocket-version", "13"),
        (
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        ),
    ];
    let upgrade = check_request("GET", HttpVersion::Http11, headers).unwrap();
    let deflate = lax().client_max_window_bits(12);
    let agreed = deflate.choose(upgrade.extensions());
    let value = "permessage-deflate; client_max_window_bits=12";
    assert_eq!(agreed.unwrap().to_string(), value);
    let checked = lax().check(&extensions(value.as_bytes()).next().unwrap().unwrap());
    assert_eq!(checked.ok(), agreed);
    let config = Config::default().deflate(deflate);
    for role in common::ROLES {
        let ws = Connection::upgraded_with(role, agreed, config.clone());
        assert_eq!(ws.deflate(), agreed);
        let plain = Connection::upgraded_with(role, None, config.clone());
        assert_eq!(plain.deflate(), None);
        // Configured is not agreed.
        assert_eq!(Connection::upgraded(role, config.clone()).deflate(), None);
    }
    assert_eq!(Connection::server(config).role(), Role::Server);
}
