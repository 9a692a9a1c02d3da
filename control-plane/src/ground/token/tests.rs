//! The fixed tokens are of openssl's keys; those keys are gone.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://kubernetes.default.svc";
const JWKS: &str = include_str!("jwks.json");
/// For 600 s from 2026-01-01.
const RS256: &str = include_str!("rs256.jwt");
const ES384: &str = include_str!("es384.jwt");

fn encoded(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn web_1() -> Verdict {
    Verdict::Pod(PodRef { namespace: "shop".into(), name: "web-1".into(), uid: "u1".into() })
}

fn configuration() -> String {
    json!({"issuer": ISSUER, "jwks_uri": "https://203.0.113.1/openid/v1/jwks"}).to_string()
}

/// An issuer with one key that signs what we like.
struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { key, random }
    }

    fn issuer(&self) -> Issuer {
        let point = self.key.public_key().as_ref();
        let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
            "x": encoded(&point[1..33]), "y": encoded(&point[33..])});
        Issuer::read(&configuration(), &json!({"keys": [key]}).to_string()).unwrap()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.key.sign(&self.random, message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature))
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "k1"})
}

/// Claims of web-1's token, valid from 1,000 to 1,600, with `changes`.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": ["kube-booster.io"], "nbf": 1_000, "iat": 1_000, "exp": 1_600,
        "sub": "system:serviceaccount:shop:default",
        "kubernetes.io": {"namespace": "shop", "pod": {"name": "web-1", "uid": "u1"},
            "serviceaccount": {"name": "default", "uid": "s1"}},
    });
    for (key, value) in changes.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

fn check(changes: &Value, now: i64, expected: &Verdict) {
    let signer = Signer::new();
    let token = signer.token(&header(), &claims(changes));
    assert_eq!(&signer.issuer().judge(&token, Timestamp::from_second(now).unwrap()), expected, "{changes}");
}

#[test]
fn tokens_of_rsa_and_elliptic_keys_speak_for_their_pod() {
    let issuer = Issuer::read(&configuration(), JWKS).unwrap();
    assert_eq!(issuer.key_count(), 2, "ES512 is left to the API server");
    for token in [RS256, ES384] {
        assert_eq!(issuer.judge(token.trim(), at("2026-01-01T00:05:00Z")), web_1());
    }
}

#[test]
fn a_token_is_taken_in_its_time_and_a_minute_around_it() {
    for now in [940, 1_000, 1_600, 1_660] {
        check(&json!({}), now, &web_1());
    }
    check(&json!({}), 939, &Verdict::Refused(Refusal::NotYetValid));
    check(&json!({}), 1_661, &Verdict::Refused(Refusal::Expired));
    check(&json!({"nbf": null}), 0, &web_1());
}

#[test]
fn a_token_for_others_or_for_no_pod_is_refused() {
    let refused = |changes: &Value, refusal| check(changes, 1_200, &Verdict::Refused(refusal));
    check(&json!({"aud": "kube-booster.io"}), 1_200, &web_1());
    check(&json!({"aud": ["vault", "kube-booster.io"]}), 1_200, &web_1());
    refused(&json!({"aud": ["https://kubernetes.default.svc"]}), Refusal::Audience);
    refused(&json!({"aud": []}), Refusal::Audience);
    refused(&json!({"kubernetes.io": {"namespace": "shop"}}), Refusal::NoPod);
    refused(&json!({"kubernetes.io": null}), Refusal::NoPod);
    refused(&json!({"exp": "never"}), Refusal::Malformed);
    refused(&json!({"exp": null}), Refusal::Malformed);
}

#[test]
fn what_another_issuer_or_an_unknown_key_signed_is_for_the_api_server() {
    check(&json!({"iss": "https://elsewhere"}), 1_200, &Verdict::Unknown);
    let signer = Signer::new();
    for header in
        [json!({"alg": "ES256", "kid": "k2"}), json!({"alg": "ES512", "kid": "k2"}), json!({"alg": "RS256"})]
    {
        let token = signer.token(&header, &claims(&json!({})));
        assert_eq!(signer.issuer().judge(&token, Timestamp::UNIX_EPOCH), Verdict::Unknown);
    }
}

#[test]
fn a_token_that_another_key_signed_is_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let token = other.token(&header(), &claims(&json!({})));
    let now = Timestamp::from_second(1_200).unwrap();
    assert_eq!(signer.issuer().judge(&token, now), Verdict::Refused(Refusal::Signature));
    let token = signer.token(&header(), &claims(&json!({})));
    let altered = signer.token(&header(), &claims(&json!({"exp": 9_999})));
    let parts: Vec<&str> = token.split('.').collect();
    let altered = [parts[0], altered.split('.').nth(1).unwrap(), parts[2]].join(".");
    assert_eq!(signer.issuer().judge(&altered, now), Verdict::Refused(Refusal::Signature));
}

#[test]
fn the_key_says_how_a_token_is_signed() {
    let signer = Signer::new();
    for alg in ["none", "HS256", "hs512", "", "RS256", "ES384", "PS256", "EdDSA"] {
        let token = signer.token(&json!({"alg": alg, "kid": "k1"}), &claims(&json!({})));
        let judged = signer.issuer().judge(&token, Timestamp::from_second(1_200).unwrap());
        assert_eq!(judged, Verdict::Refused(Refusal::Algorithm), "{alg}");
    }
    // No signature at all, whatever the header says.
    let unsigned = format!("{}.{}.", encoded(header().to_string()), encoded(claims(&json!({})).to_string()));
    let judged = signer.issuer().judge(&unsigned, Timestamp::from_second(1_200).unwrap());
    assert_eq!(judged, Verdict::Refused(Refusal::Signature));
}

#[test]
fn text_that_is_no_token_is_refused() {
    let issuer = Signer::new().issuer();
    for text in ["", "a", "a.b.c", "..", "....", "e30.e30.e30", "eyJhbGciOiJFUzI1NiJ9.!.!"] {
        let judged = issuer.judge(text, Timestamp::UNIX_EPOCH);
        assert_eq!(judged, Verdict::Refused(Refusal::Malformed), "{text}");
    }
}

#[test]
fn documents_that_are_none_are_refused() {
    for (configuration_, keys) in [("{}", JWKS), (&*configuration(), "{}"), ("", ""), ("[]", "[]")] {
        assert!(Issuer::read(configuration_, keys).is_err());
    }
    let odd = json!({"keys": [1, {}, {"kty": "oct", "k": "AA", "kid": "h", "alg": "HS256"}, {"kid": "x"}]});
    assert_eq!(Issuer::read(&configuration(), &odd.to_string()).unwrap().key_count(), 0);
}

#[test]
fn a_token_says_when_it_ends() {
    assert_eq!(expiry(RS256.trim()), Some(at("2026-01-01T00:10:00Z")));
    assert_eq!(expiry("admin"), None);
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(text in "\\PC*", json in "[{}\\[\\]\",:0-9a-z]{0,40}") {
        let issuer = Issuer::read(&configuration(), JWKS).unwrap();
        let _ = issuer.judge(&text, Timestamp::UNIX_EPOCH);
        let parts = format!("{}.{}.{}", encoded(&json), encoded(&json), encoded(&text));
        let _ = issuer.judge(&parts, Timestamp::UNIX_EPOCH);
        let _ = expiry(&parts);
    }
}
