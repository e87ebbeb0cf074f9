//! Key extractors for what requests usually carry: a client's address, a path segment, a bearer token.
//!
//! This module owns what of them is trusted, and in which form it is a key: two spellings of one value are one key.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use http::{HeaderName, Request, header::AUTHORIZATION};

use super::{deadline::header_name, extract::KeyExtractor};

/// The longest path segment and token that is read, in bytes.
const MAX_LEN: usize = 256;
const MAX_TOKEN_LEN: usize = 8192;

/// Reads the address of a client from `x-forwarded-for`, as reverse proxies of your own write it.
///
/// Each proxy appends the address that it was called from. Whatever stands left of what your own proxies appended was sent by
/// the client, who may write anything there. So the address is counted from the right: with one proxy, the last one counts. A
/// request that has fewer addresses, or whose address there is not one, has no key.
///
/// A client of IPv6 usually has a network of 2^64 addresses for itself, so that the key is the network: an address whose last
/// 64 bits are zero. See [`ipv6_prefix`](Self::ipv6_prefix).
///
/// Without a proxy, the peer's address is the key. In axum it is an extension, and a closure reads it:
///
/// ```
/// use std::net::{IpAddr, SocketAddr};
/// use axum::{body::Body, extract::ConnectInfo, http::Request};
/// use bulklink::{PartitionedBulkhead, PartitionedBulkheadLayer};
///
/// let clients = PartitionedBulkhead::<IpAddr>::builder("clients").parallelism(3).max_partitions(10_000).build()?;
/// let layer = PartitionedBulkheadLayer::new(&clients, |request: &Request<Body>| {
///     Some(request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip())
/// });
/// # let _: axum::Router = axum::Router::new().layer(layer);
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
///
/// # Examples
///
/// ```
/// use std::net::IpAddr;
/// use bulklink::{ForwardedIpKey, KeyExtractor};
///
/// let request = http::Request::get("/").header("x-forwarded-for", "6.6.6.6, 198.51.100.7").body(())?;
/// let key: Option<IpAddr> = ForwardedIpKey::behind(1).key(&request);
/// assert_eq!(key, Some("198.51.100.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ForwardedIpKey {
    header: HeaderName,
    proxies: usize,
    ipv6_prefix: u32,
}

impl ForwardedIpKey {
    /// Creates an extractor for a server behind this many proxies, each of which appends an address.
    ///
    /// # Panics
    ///
    /// Panics if `proxies` is 0: then nobody that is trusted writes the header.
    #[must_use]
    pub fn behind(proxies: usize) -> Self {
        assert!(proxies > 0, "ForwardedIpKey::behind(0): without a proxy, no address is trusted");
        Self { header: HeaderName::from_static("x-forwarded-for"), proxies, ipv6_prefix: 64 }
    }

    /// Reads another header of the same form, such as one that holds a single address.
    ///
    /// # Panics
    ///
    /// Panics if `name` is not a valid header name.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>) -> Self {
        self.header = header_name(name.as_ref());
        self
    }

    /// Sets how many bits of an IPv6 address are the key. Default 64.
    ///
    /// # Panics
    ///
    /// Panics if `bits` is 0 or above 128.
    #[must_use]
    pub fn ipv6_prefix(mut self, bits: u32) -> Self {
        assert!((1..=128).contains(&bits), "ForwardedIpKey::ipv6_prefix({bits}): from 1 to 128");
        self.ipv6_prefix = bits;
        self
    }

    fn network(&self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - self.ipv6_prefix);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
            address => address,
        }
    }
}

impl<B, K: From<IpAddr>> KeyExtractor<Request<B>, K> for ForwardedIpKey {
    fn key(&self, request: &Request<B>) -> Option<K> {
        // Several headers of one name are one list.
        let values = request.headers().get_all(&self.header).into_iter().rev();
        let mut skipped = 0;
        for value in values {
            let Ok(text) = value.to_str() else { return None };
            for address in text.rsplit(',') {
                skipped += 1;
                if skipped == self.proxies {
                    return parse_address(address.trim()).map(|ip| self.network(ip).into());
                }
            }
        }
        None
    }
}

/// Parses an address with or without a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Reads the key from a segment of the path and parses it with [`FromStr`].
///
/// Percent-encoded bytes are decoded first. The key is missing if there is no such segment, or if it is empty, longer than
/// 256 bytes, not text or does not parse.
///
/// # Examples
///
/// ```
/// use bulklink::{KeyExtractor, PathSegmentKey};
///
/// let request = http::Request::get("/tenants/4711/orders?page=2").body(())?;
/// let key: Option<u64> = PathSegmentKey::at(1).key(&request);
/// assert_eq!(key, Some(4711));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PathSegmentKey {
    index: usize,
}

impl PathSegmentKey {
    /// Creates an extractor for the segment with this index: that of `a` in `/a/b` is 0.
    ///
    /// A layer inside a nested axum router sees the path without the prefix of that router.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self { index }
    }
}

impl<B, K: FromStr> KeyExtractor<Request<B>, K> for PathSegmentKey {
    fn key(&self, request: &Request<B>) -> Option<K> {
        let path = request.uri().path().strip_prefix('/')?;
        let segment = path.split('/').nth(self.index)?;
        if segment.is_empty() || segment.len() > MAX_LEN {
            return None;
        }
        decoded(segment)?.parse().ok()
    }
}

/// Decodes percent-encoded bytes. `None` if that is no text, or not an encoding.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let digit = |digit: u8| char::from(digit).to_digit(16);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A digest of the bearer token of a request, in place of the token.
///
/// The token itself is not retained. The digest has 128 bits, and depends on random numbers of the extractor: it is not the
/// same in another process, and nobody can choose tokens with equal digests.
///
/// Each token is a key of its own, whether it is valid or not. Authenticate requests before they reach the bulkhead, or made-up
/// tokens get partitions too.
///
/// # Examples
///
/// ```
/// use bulklink::{BearerTokenKey, KeyExtractor};
///
/// let tokens = BearerTokenKey::new();
/// let request = |token| http::Request::get("/").header("authorization", token).body(());
/// let ann = tokens.key(&request("Bearer ann")?);
/// assert_eq!(tokens.key(&request("bearer ann")?), ann);
/// assert_ne!(tokens.key(&request("Bearer bob")?), ann);
/// assert_eq!(tokens.key(&request("Basic YW5uOg==")?), None);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct BearerTokenKey {
    halves: [RandomState; 2],
}

/// The digest of a token: see [`BearerTokenKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest([u64; 2]);

impl BearerTokenKey {
    /// Creates an extractor with random numbers of its own. Its clones have the same.
    #[must_use]
    pub fn new() -> Self {
        Self { halves: [RandomState::new(), RandomState::new()] }
    }
}

impl Default for BearerTokenKey {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> KeyExtractor<Request<B>, TokenDigest> for BearerTokenKey {
    fn key(&self, request: &Request<B>) -> Option<TokenDigest> {
        let value = request.headers().get(AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked("bearer ".len())?;
        let token = token.trim_ascii();
        if !scheme.eq_ignore_ascii_case(b"bearer ")
            || token.is_empty()
            || token.len() > MAX_TOKEN_LEN
        {
            return None;
        }
        Some(TokenDigest(self.halves.each_ref().map(|half| half.hash_one(token))))
    }
}

impl fmt::Debug for BearerTokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerTokenKey")
    }
}

impl fmt::Debug for TokenDigest {
    /// Keys are never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}
