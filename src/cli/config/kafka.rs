//! What is known of librdkafka's properties before it is asked: which are secret, which the reader sets itself, and which
//! this build cannot do. All others are passed on as they are.

/// What a build can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built {
    /// It reads Kafka.
    pub(crate) kafka: bool,
    /// It has TLS, and what of SASL needs it.
    pub(crate) tls: bool,
    /// It writes to Elasticsearch and OpenSearch.
    pub(crate) elasticsearch: bool,
}

impl Built {
    /// What this one can do.
    pub(crate) const HERE: Built = Built {
        kafka: cfg!(feature = "kafka"),
        tls: cfg!(feature = "tls"),
        elasticsearch: cfg!(feature = "elasticsearch"),
    };
}

/// Whether the value of the property is shown to nobody.
#[cfg(feature = "kafka")]
pub(crate) fn is_secret(property: &str) -> bool {
    deltaic::Kafka::is_secret_by_name(property)
}

/// A build without Kafka uses no property, and shows none.
#[cfg(not(feature = "kafka"))]
pub(crate) fn is_secret(_property: &str) -> bool {
    true
}

/// Why the property is the reader's own, if it is.
#[cfg(feature = "kafka")]
pub(crate) fn own(property: &str) -> Option<&'static str> {
    deltaic::Kafka::OWN.iter().find(|(name, _)| *name == property).map(|(_, why)| *why)
}

/// A build without Kafka has been refused before.
#[cfg(not(feature = "kafka"))]
pub(crate) fn own(_property: &str) -> Option<&'static str> {
    None
}

/// Whether the property, of this value, needs a build with TLS.
pub(crate) fn needs_tls(property: &str, value: &str) -> bool {
    let is = |names: &[&str]| names.iter().any(|name| value.eq_ignore_ascii_case(name));
    match property {
        "security.protocol" => is(&["ssl", "sasl_ssl"]),
        // The digests of these are OpenSSL's.
        "sasl.mechanism" | "sasl.mechanisms" => is(&["SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
        "enable.ssl.certificate.verification" => true,
        _ => ["ssl.", "ssl_", "sasl.oauthbearer."].iter().any(|start| property.starts_with(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_needed_for_encryption_and_for_digests() {
        for (property, value, expected) in [
            ("security.protocol", "SASL_SSL", true),
            ("security.protocol", "ssl", true),
            ("security.protocol", "sasl_plaintext", false),
            ("sasl.mechanism", "SCRAM-SHA-512", true),
            ("sasl.mechanisms", "scram-sha-256", true),
            ("sasl.mechanisms", "PLAIN", false),
            ("sasl.password", "SCRAM-SHA-512", false),
            ("ssl.ca.location", "/etc/ssl/ca.pem", true),
            ("client.id", "ssl", false),
        ] {
            assert_eq!(needs_tls(property, value), expected, "{property} = {value}");
        }
    }
}
