//! Keys from addresses, paths and tokens: what a client can write must not choose its key.

use std::net::IpAddr;

use bulklink::{BearerTokenKey, ForwardedIpKey, HeaderKey, KeyExtractor, PathSegmentKey};
use http::{HeaderValue, Request};

use crate::support::assert_panics;

fn forwarded(values: &[&[u8]]) -> Request<()> {
    let mut request = Request::default();
    for value in values {
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append("x-forwarded-for", value);
    }
    request
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn an_address_is_counted_from_the_right() {
    let spoofed: &[&[u8]] = &[b"6.6.6.6, 7.7.7.7", b"198.51.100.7 ,10.0.0.1"];
    for (proxies, expected) in
        [(1, "10.0.0.1"), (2, "198.51.100.7"), (3, "7.7.7.7"), (4, "6.6.6.6")]
    {
        assert_eq!(ForwardedIpKey::behind(proxies).key(&forwarded(spoofed)), ip(expected));
    }
    assert_eq!(ForwardedIpKey::behind(5).key(&forwarded(spoofed)), None::<IpAddr>);
    assert_eq!(ForwardedIpKey::behind(1).key(&Request::new(())), None::<IpAddr>);
    let single = Request::builder().header("x-real-ip", "1.2.3.4").body(()).unwrap();
    assert_eq!(ForwardedIpKey::behind(1).header("X-Real-IP").key(&single), ip("1.2.3.4"));
}

#[test]
fn spellings_of_one_address_are_one_key() {
    let key = |text: &str| ForwardedIpKey::behind(1).key(&forwarded(&[text.as_bytes()]));
    for text in ["1.2.3.4", " 1.2.3.4", "1.2.3.4:80", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80"] {
        assert_eq!(key(text), ip("1.2.3.4"), "{text}");
    }
    for text in ["2001:db8:0:1::1", "[2001:db8:0:1::2]", "[2001:DB8:0:1:ffff::]:443"] {
        assert_eq!(key(text), ip("2001:db8:0:1::"), "{text}");
    }
    let whole = ForwardedIpKey::behind(1).ipv6_prefix(128);
    assert_eq!(whole.key(&forwarded(&[b"2001:db8::7"])), ip("2001:db8::7"));
    let site = ForwardedIpKey::behind(1).ipv6_prefix(1);
    assert_eq!(site.key(&forwarded(&[b"2001:db8::7"])), ip("::"));
    for text in ["", "unknown", "1.2.3", "1.2.3.4.5", "[1.2.3.4", "_hidden", "1.2.3.4,"] {
        assert_eq!(key(text), None::<IpAddr>, "{text}");
    }
    assert_eq!(ForwardedIpKey::behind(1).key(&forwarded(&[b"\xff"])), None::<IpAddr>);
}

#[test]
fn a_path_segment_is_decoded_and_parsed() {
    let key = |path: &str, index| {
        let request = Request::get(path).body(()).unwrap();
        PathSegmentKey::at(index).key(&request)
    };
    for (path, index, expected) in [
        ("/tenants/ann/orders?page=2", 1, Some("ann")),
        ("/tenants/%61nn", 1, Some("ann")),
        ("/tenants/b%C3%BCcher", 1, Some("b\u{fc}cher")),
        ("/tenants/a%2Fb", 1, Some("a/b")),
        ("/tenants", 1, None),
        ("/tenants/", 1, None),
        ("//ann", 1, Some("ann")),
        ("/", 0, None),
        ("/tenants/%4", 1, None),
        ("/tenants/%zz", 1, None),
        ("/tenants/%ff", 1, None),
        ("/tenants/+1", 1, Some("+1")),
    ] {
        assert_eq!(key(path, index), expected.map(str::to_owned), "{path}");
    }
    let long = format!("/{}", "a".repeat(257));
    assert_eq!(key(&long, 0), None::<String>);
    assert_eq!(key(&long[..257], 0).map(|key: String| key.len()), Some(256));
    let number = Request::get("/x/007").body(()).unwrap();
    assert_eq!(PathSegmentKey::at(1).key(&number), Some(7_u32));
}

#[test]
fn a_token_is_a_key_that_shows_nothing_of_it() {
    let tokens = BearerTokenKey::new();
    let key = |tokens: &BearerTokenKey, value: &[u8]| {
        let value = HeaderValue::from_bytes(value).unwrap();
        tokens.key(&Request::builder().header("authorization", value).body(()).unwrap())
    };
    let ann = key(&tokens, b"Bearer sesame").unwrap();
    for same in [&b"bearer sesame"[..], b"BEARER   sesame "] {
        assert_eq!(key(&tokens.clone(), same), Some(ann));
    }
    assert_ne!(key(&tokens, b"Bearer sesame2"), Some(ann));
    assert_ne!(key(&BearerTokenKey::new(), b"Bearer sesame"), Some(ann), "it cannot be predicted");
    for none in [&b""[..], b"Bearer", b"Bearer ", b"Bearer  ", b"Basic sesame", b"sesame"] {
        assert_eq!(key(&tokens, none), None, "{none:?}");
    }
    assert_eq!(key(&tokens, format!("Bearer {}", "a".repeat(8193)).as_bytes()), None);
    assert_eq!(tokens.key(&Request::new(())), None);
    assert_eq!(format!("{ann:?} {tokens:?}"), "TokenDigest(..) BearerTokenKey");
}

#[test]
fn headers_are_read_in_order() {
    let customer = HeaderKey::new("x-customer").or("x-api-key").or("x-tenant").max_len(5);
    let key = |headers: &[(&str, &str)]| {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        customer.key(&request.body(()).unwrap())
    };
    assert_eq!(key(&[("x-tenant", "3"), ("x-api-key", "2")]), Some(2));
    assert_eq!(
        key(&[("x-customer", "gold"), ("x-tenant", "3")]),
        Some(3),
        "the first is no number"
    );
    assert_eq!(key(&[("x-customer", "123456"), ("x-api-key", "")]), None::<u32>);
}

#[test]
fn settings_that_trust_nobody_are_refused() {
    assert_panics(|| ForwardedIpKey::behind(0));
    assert_panics(|| ForwardedIpKey::behind(1).ipv6_prefix(0));
    assert_panics(|| ForwardedIpKey::behind(1).ipv6_prefix(129));
    assert_panics(|| HeaderKey::new("a").or("b c"));
}
