// Keys, signatures and a certificate made by OpenSSL's command line (3.0.22), over the text "golden":
//   openssl genrsa 2048; openssl ecparam -name prime256v1 -genkey; openssl genpkey -algorithm ed25519
//   openssl dgst -sha256 -sign KEY; the same with -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32
//   openssl pkeyutl -sign -rawin (Ed25519)
//   openssl req -x509 -key EC -utf8 -subj '/O=Ingot, "Foundry"/CN=db é'
// The private keys are gone.
#pragma once

namespace ingot::test::vectors {

inline constexpr const char* message = "golden";
inline constexpr const char* rsa_spki =
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAx6sxEk5J9QbcD+X0vBveUJ9CnxUUrzeW0CM8r5I9CpWp3uph3utVheBqp267W7kx5wGM"
    "UJ9ju+pzdgcHCHh76w40TE3vyJVMdmCNvJcVlAF+3bXptXBKZoghsp1XS6ZiVpZw8vfqHvQOnRxYUNd3PoHQXsd2Gv85f6aut6weQSUt8nD569xC"
    "bKcdj/u2n4DZtzXIhg3mPHQz6+tegJQiDhsI9YB/zY/VAN5eHrNjfly//T+Y7E60XsIlGSpvNp5RmuTtKCsNZSfuegzIbk6pR2ubj3r1w85QbaJN"
    "kHmj05QpTCB4OYx3LTXzfpTnyDasSlyxu6EhnQFqBPvACUM/QwIDAQAB";
inline constexpr const char* ec_spki =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFO17lMvPMzBKvSfK3YbrvylyU67yBr3/dRmVhSsjGpZMgZBGlceAsSgg8gL66/x+lZFdSb03+qOh"
    "3oRpViDx/A==";
inline constexpr const char* ed_spki = "MCowBQYDK2VwAyEAAnMIdxehZjpqkyAOqbj4wt+5lgzLNRwEZVOerUuxB/Q=";
inline constexpr const char* rsa_sha256 =
    "DDt2Q7bt/Uw0oWF1ZiC3R8bfrCuXUAtI/CnRRlcIlrHcPlwlH8kL1kaM5pCAlP5D2mIiiX2IzLce498xIu0K7iDuQ6drHPq6UGkywH1wSU+0f79/"
    "qMqfCdn4mECT4CCXvg0em3rh/zfvdNko2ZWa9iMWEixXhEbrxonyTlPNmPf8oc5GfF/A2kZ3ReclBxrt3RO4+mXZuB8+YAuZYCbGWd7ygstjLRTR"
    "btX4SaS3goeMh8iKNHL6tIpIRJIllMv1QOTqpHJsgDWkrUDTN0hKNoacx7fl1xo5gpNyTJ8dqUNWiQnJPUuwWgAebJjcMIuE5olhn/jaie5XoGZY"
    "rCEzdg==";
inline constexpr const char* rsa_sha384 =
    "IUDIT+Y+7Mh7mc1I1R0gBKMpktEsGgVSaHNFJ+1rDy+kW77oCFWUyryPYeGBLR1cYmjbUMlGlvxQCP9mk/IoPErYQpVHJ/CrU3pKYRbbD9Ig2p7T"
    "qvo9HCuSw/C6G88g0O7XDdYx1YTwxgXvUsQxOtBWDsuRIR4+EIWdLEYiazDPCsXxoW8APOsdP1c1/FAlLI/CJd/2q+KZ6TF3x6X7dJ5+6Ew8uS4S"
    "tlnChjB0EtT+N33T13fxBG0yJBivOIrUuwDNqzDnqxFifV0TSflcRphrQXFhm3nFAFM+qdhzGaw86CoTIViLgYQRGWya+FSuOiWnM2EMIUk7LCm9"
    "Of+dxg==";
inline constexpr const char* rsa_pss_sha256 =
    "ei8R/3yXiHhXKJ1Dgc4nBt9uJoe9QOIPuTNJcUBPnpY1MDLOVeIc0qsfQyhwUK4XdKulbQsQUqJvd4W66uemOoBxcDPjcaX7YfPEaBRdf5VFvF6z"
    "f1Cx4rW1KM7aG01pcXUEqC3qw7TC75BftQOqmGl1eXsKeF7lgVqvUqGUkWhkBNdcAZ89cauzEDKiw9lwRa8+qsdhZGKE8HNnTuOetX91g/YkDYoX"
    "al9OM4Eywc0ADo/6JCoDsVBgk0GW3GyUD+jI4OMGY1LBFXk56pU0Gm/C/6awojmtmQ/Y871koha51qkC0tV8UKKlEODHWdLKfO0K/wh/gvpyxhHn"
    "vMUQ5Q==";
inline constexpr const char* ec_sha256 =
    "MEYCIQCN0HBZFzArsThmV66oewkTx10+piboboW3U/BnzE3ZswIhAPirWj6ySrGgJS4HTBzapLeryqGMU/LkdnwM/B+agdc+";
inline constexpr const char* ec_sha384 =
    "MEUCIDgWwAH7KDzFtlvtININmgfZA/gu9fWJAaMZq2WqKkV/AiEA1GFfgZFQZ4SJk6t83Mm/Jf8i5ffQeNuorvY3wu8Vhzc=";
inline constexpr const char* ed_signature =
    "83OhyguiYLfSjet7I1I6gBNDNpfy2ZpRbFhGndibFBRO9ZQ7lwDCtDHHb9PaU4FgCz+KoSjNlMqGueZf8L6YBg==";
inline constexpr const char* certificate =
    "MIIBmTCCAUCgAwIBAgIBATAKBggqhkjOPQQDAjArMRkwFwYDVQQKDBBJbmdvdCwgIkZvdW5kcnkiMQ4wDAYDVQQDDAVkYiDDqTAgFw0yNjExMjMw"
    "NzUyMTBaGA8yMTI2MTAzMDA3NTIxMFowKzEZMBcGA1UECgwQSW5nb3QsICJGb3VuZHJ5IjEOMAwGA1UEAwwFZGIgw6kwWTATBgcqhkjOPQIBBggq"
    "hkjOPQMBBwNCAAQU7XuUy88zMEq9J8rdhuu/KXJTrvIGvf91GZWFKyMalkyBkEaVx4CxKCDyAvrr/H6VkV1JvTf6o6HehGlWIPH8o1MwUTAdBgNV"
    "HQ4EFgQUON+z+gOgUIZfEB+yEnYU22nDo9swHwYDVR0jBBgwFoAUON+z+gOgUIZfEB+yEnYU22nDo9swDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjO"
    "PQQDAgNHADBEAiBPSdFTYgQuJC53xZ/OUHg/nl/mP1KtYOJgnVV7MJZcxgIgM5/xYWFQTEua2gR5gjYQXqM9VsDKHF5miYGQbOudTN0=";
/// SHA-256 of the RSA key's PKCS#1 RSAPublicKey: openssl rsa -pubin -RSAPublicKey_out -outform DER | sha256sum.
inline constexpr const char* rsa_pkcs1_sha256 = "05792fbcf4b77a5c2af591d10720682662f6f751076266cb2bb6817ab24fd585";
/// openssl pkey -pubout -outform DER | sha256sum.
inline constexpr const char* rsa_spki_sha256 = "8a779c1aaddd2f167ea3c502e6f09e4595d669003291d93f0b9c5903beb85943";
inline constexpr const char* rsa_pem = R"(-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAx6sxEk5J9QbcD+X0vBve
UJ9CnxUUrzeW0CM8r5I9CpWp3uph3utVheBqp267W7kx5wGMUJ9ju+pzdgcHCHh7
6w40TE3vyJVMdmCNvJcVlAF+3bXptXBKZoghsp1XS6ZiVpZw8vfqHvQOnRxYUNd3
PoHQXsd2Gv85f6aut6weQSUt8nD569xCbKcdj/u2n4DZtzXIhg3mPHQz6+tegJQi
DhsI9YB/zY/VAN5eHrNjfly//T+Y7E60XsIlGSpvNp5RmuTtKCsNZSfuegzIbk6p
R2ubj3r1w85QbaJNkHmj05QpTCB4OYx3LTXzfpTnyDasSlyxu6EhnQFqBPvACUM/
QwIDAQAB
-----END PUBLIC KEY-----
)";
inline constexpr const char* certificate_pem = R"(-----BEGIN CERTIFICATE-----
MIIBmTCCAUCgAwIBAgIBATAKBggqhkjOPQQDAjArMRkwFwYDVQQKDBBJbmdvdCwg
IkZvdW5kcnkiMQ4wDAYDVQQDDAVkYiDDqTAgFw0yNjExMjMwNzUyMTBaGA8yMTI2
MTAzMDA3NTIxMFowKzEZMBcGA1UECgwQSW5nb3QsICJGb3VuZHJ5IjEOMAwGA1UE
AwwFZGIgw6kwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQU7XuUy88zMEq9J8rd
huu/KXJTrvIGvf91GZWFKyMalkyBkEaVx4CxKCDyAvrr/H6VkV1JvTf6o6HehGlW
IPH8o1MwUTAdBgNVHQ4EFgQUON+z+gOgUIZfEB+yEnYU22nDo9swHwYDVR0jBBgw
FoAUON+z+gOgUIZfEB+yEnYU22nDo9swDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjO
PQQDAgNHADBEAiBPSdFTYgQuJC53xZ/OUHg/nl/mP1KtYOJgnVV7MJZcxgIgM5/x
YWFQTEua2gR5gjYQXqM9VsDKHF5miYGQbOudTN0=
-----END CERTIFICATE-----
)";

}  // namespace ingot::test::vectors
