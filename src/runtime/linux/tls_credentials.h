#pragma once
// runtime/linux/tls_credentials.h — how the two ends of a remote connection prove themselves: a shared key, or
// certificates.
//
// The key is the whole file, byte by byte, and its name in the handshake is always the same. With a certificate, its
// private key and an authority configured, these take the key's place: each end verifies that the authority signed the
// other's certificate, whatever name it bears.
// Source: protocol sheet executor-remote.md, section 1; GnuTLS manual, "PSK credentials", "Priority strings".
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

struct gnutls_session_int;

namespace systole::runtime {

struct TlsSettings {
    std::vector<std::string> key_files;               ///< the first that exists is the key
    std::string priorities = "NORMAL";                ///< GnuTLS' base priority string
    std::string certificate, private_key, authority;  ///< files; certificates are used where all three are set
    std::string revocations;                          ///< file with revoked certificates; may be empty
    unsigned dh_bits_min = 0;                         ///< for a client with TLS 1.2; 0: GnuTLS' own
    [[nodiscard]] bool certificates() const {
        return !certificate.empty() && !private_key.empty() && !authority.empty();
    }
};
/// PCMK_authkey_location, PCMK_tls_priorities, PCMK_cert_file, PCMK_key_file, PCMK_ca_file, PCMK_crl_file,
/// PCMK_dh_min_bits.
TlsSettings tls_settings_of_environment();

enum class TlsRole : std::uint8_t { kClient, kServer };

class TlsCredentials {
public:
    /// Errors: kNotFound (no such file), kInvalid (empty, or not what it should be), kDenied (this user may not read
    /// it; says which user and whose it is).
    static Result<std::shared_ptr<const TlsCredentials>> load(const TlsSettings& settings, TlsRole role);
    ~TlsCredentials();
    TlsCredentials(const TlsCredentials&) = delete;
    TlsCredentials& operator=(const TlsCredentials&) = delete;

    /// For a new session, which must not outlive this object. Errors: kInvalid for a priority string that GnuTLS does
    /// not know.
    Result<void> apply(gnutls_session_int* session) const;
    [[nodiscard]] TlsRole role() const;
    /// The key's file, or the certificate's: what a person compares with the other end.
    [[nodiscard]] const std::string& file() const;
    /// What is unsafe about the files, for the log; empty if nothing is.
    [[nodiscard]] const std::string& remark() const;

private:
    struct Impl;
    explicit TlsCredentials(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace systole::runtime
