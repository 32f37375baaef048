#define OPENSSL_SUPPRESS_DEPRECATED  // the engine is all that Debian 12 has
#include "token.hpp"

#include <fmt/format.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "ingot/crypto/openssl.hpp"
#include "pins.hpp"

namespace ingot::signer {
namespace {

using BioHandle = std::unique_ptr<BIO, crypto::Deleter<BIO_free_all>>;
using ConfHandle = std::unique_ptr<CONF, crypto::Deleter<NCONF_free>>;
using StoreHandle = std::unique_ptr<OSSL_STORE_CTX, crypto::Deleter<OSSL_STORE_close>>;
using InfoHandle = std::unique_ptr<OSSL_STORE_INFO, crypto::Deleter<OSSL_STORE_INFO_free>>;
using Key = std::shared_ptr<EVP_PKEY>;

/// All that is open.
struct Tokens {
  std::mutex lock;
  bool by_provider = false;
  ENGINE* engine = nullptr;
  std::optional<std::string> module;  ///< set once provider or engine is there
  std::string pin_of;                 ///< the token whose PIN the engine keeps, and would try on any other
  std::map<std::string, Key> keys;
  std::set<std::string> refused;  ///< tokens that did not take their PIN
};
Tokens& tokens() {
  static auto* all = new Tokens;  // never destroyed: close_tokens() does what has to be done
  return *all;
}

/// A module has destructors of its own, which ran by the time that OpenSSL would have it finish.
void close_tokens() {
  auto& all = tokens();
  const std::lock_guard guard(all.lock);
  all.keys.clear();
  if (all.engine != nullptr) {
    ENGINE_finish(all.engine);
    ENGINE_free(all.engine);
  }
  all.engine = nullptr;
}

/// What OpenSSL asks through its user interface is answered once.
struct PinDialog {
  PinWanted wanted;
  bool given = false;
  std::optional<Error> error;
};

int answer(UI* ui, UI_STRING* question) {
  if (UI_get_string_type(question) != UIT_PROMPT) return 1;
  auto& dialog = *static_cast<PinDialog*>(UI_get0_user_data(ui));
  if (dialog.given || dialog.error) return 0;
  const auto pin = get_pin(dialog.wanted);
  if (!pin) {
    dialog.error = pin.error();
    return 0;
  }
  dialog.given = true;
  const auto text = as_text(*pin);
  if (UI_set_result_ex(ui, question, text.data(), static_cast<int>(text.size())) == 0) return 1;
  dialog.error = Error{ErrorCode::usage,
                       fmt::format("{} has {} to {} characters", dialog.wanted.of, UI_get_result_minsize(question),
                                   UI_get_result_maxsize(question)),
                       {},
                       {},
                       {}};
  return 0;
}

UI_METHOD* answering() {
  static UI_METHOD* method = [] {
    auto* made = UI_create_method("ingot");
    UI_method_set_reader(made, answer);
    return made;
  }();
  return method;
}

std::string module_of(const Pkcs11Uri& uri) {
  if (!uri.module_path.empty()) return uri.module_path;
  const char* named = std::getenv("PKCS11_MODULE_PATH");
  return named == nullptr ? std::string() : std::string(named);
}

/// config(5ssl), "Provider Configuration": parameters for a provider that is loaded by name afterwards. no-deinit: a
/// module's own destructors come before OpenSSL's end, and some do not survive being finalized after them.
bool load_provider(const std::string& module) {
  if (OSSL_PROVIDER_available(nullptr, "pkcs11") == 1) return true;
  if (module.find_first_of("\n\\$#\"'") != std::string::npos) return false;
  const auto text = fmt::format(
      "openssl_conf = start\n[start]\nproviders = list\n[list]\npkcs11 = token\n[token]\n"
      "pkcs11-module-quirks = no-deinit\n{}",
      module.empty() ? "" : fmt::format("pkcs11-module-path = {}\n", module));
  const BioHandle bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const ConfHandle conf(NCONF_new(nullptr));
  constexpr int keep_default = 1;
  const bool loaded = NCONF_load_bio(conf.get(), bio.get(), nullptr) == 1 &&
                      CONF_modules_load(conf.get(), nullptr, 0) == 1 &&
                      OSSL_PROVIDER_try_load(nullptr, "pkcs11", keep_default) != nullptr;
  ERR_clear_error();
  return loaded;
}

/// The first private key that the provider finds.
Key load_by_provider(const Pkcs11Uri& uri, PinDialog& dialog) {
  const auto text = uri.value("type").empty() ? uri.text() + ";type=private" : uri.text();
  const StoreHandle store(OSSL_STORE_open(text.c_str(), answering(), &dialog, nullptr, nullptr));
  while (store && OSSL_STORE_eof(store.get()) != 1) {
    const InfoHandle info(OSSL_STORE_load(store.get()));
    if (!info) break;
    if (OSSL_STORE_INFO_get_type(info.get()) == OSSL_STORE_INFO_PKEY)
      return {OSSL_STORE_INFO_get1_PKEY(info.get()), EVP_PKEY_free};
  }
  return nullptr;
}

Result<ENGINE*> new_engine(const std::string& module) {
  struct Command {
    const char* name;
    const char* value;
  };
  auto* engine = ENGINE_by_id("dynamic");
  bool ok = engine != nullptr;
  for (const auto& [name, value] : {Command{"ID", "pkcs11"},
                                    {"DIR_LOAD", "2"},
                                    {"DIR_ADD", OPENSSL_info(OPENSSL_INFO_ENGINES_DIR)},
                                    {"LOAD", nullptr}})
    ok = ok && ENGINE_ctrl_cmd_string(engine, name, value, 0) == 1;
  if (!ok) {
    ENGINE_free(engine);
    auto error = crypto::openssl_error(ErrorCode::missing, "OpenSSL has neither a pkcs11 provider nor a pkcs11 engine");
    error.remedy = "install libengine-pkcs11-openssl (Debian 12) or pkcs11-provider (Debian 13)";
    return fail(std::move(error));
  }
  ok = (module.empty() || ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module.c_str(), 0) == 1) &&
       ENGINE_ctrl_cmd_string(engine, "QUIET", nullptr, 1) == 1 && ENGINE_init(engine) == 1;
  if (ok) return engine;
  ENGINE_free(engine);
  return fail(crypto::openssl_error(ErrorCode::missing, "starting OpenSSL's pkcs11 engine"));
}

Result<Key> load_by_engine(Tokens& all, const Pkcs11Uri& uri, PinDialog& dialog) {
  for (const auto* name : {"slot-id", "slot-description"})
    if (!uri.value(name).empty())
      return fail(ErrorCode::unsupported, fmt::format("OpenSSL's pkcs11 engine finds no token by its {}", name),
                  "name it by token= or serial=");
  const auto token = uri.token_text();
  if (!all.pin_of.empty() && all.pin_of != token) {
    crypto::Secret text = crypto::concatenate({TRY(get_pin(dialog.wanted)), Buffer{0}});
    const auto* pin = static_cast<const char*>(static_cast<const void*>(text.view().data()));
    if (ENGINE_ctrl_cmd_string(all.engine, "PIN", pin, 0) != 1)
      return fail(crypto::openssl_error(ErrorCode::internal, "OpenSSL's pkcs11 engine takes no PIN"));
    dialog.given = true;
  }
  Key key(ENGINE_load_private_key(all.engine, uri.text().c_str(), answering(), &dialog), EVP_PKEY_free);
  if (dialog.given) all.pin_of = token;
  return key;
}

Result<Key> load(Tokens& all, const Pkcs11Uri& uri, PinDialog& dialog) {
  const auto module = module_of(uri);
  if (!all.module) {
    all.by_provider = load_provider(module);
    if (!all.by_provider) all.engine = TRY(new_engine(module));
    all.module = module;
  }
  if (*all.module != module)
    return fail(ErrorCode::unsupported, "keys of two PKCS#11 modules in one run",
                "OpenSSL takes one; name p11-kit's (p11-kit-proxy.so), which joins them");
  return all.by_provider ? Result<Key>(load_by_provider(uri, dialog)) : load_by_engine(all, uri, dialog);
}

}  // namespace

Result<std::shared_ptr<EVP_PKEY>> open_token_key(const Pkcs11Uri& uri) {
  auto& all = tokens();
  const std::lock_guard guard(all.lock);
  const auto token = uri.token_text();
  const auto name = token + "\n" + uri.text();
  if (const auto found = all.keys.find(name); found != all.keys.end()) return found->second;
  const auto refusal = [&](const std::string& why) {
    return fail(ErrorCode::crypto, fmt::format("{}: the token refused the PIN{}", uri.place(), why),
                "it was tried once and is not tried again, since tokens lock themselves after a few wrong ones");
  };
  if (all.refused.count(token) != 0) return refusal(" before");
  const auto& label = uri.value("token").empty() ? uri.place() : "token " + uri.value("token");
  PinDialog dialog{{"the PIN of " + label, uri.value("object"), uri.pin_file}, false, {}};
  ERR_clear_error();
  auto key = load(all, uri, dialog);
  static const int at_exit = std::atexit(close_tokens);  // after the module was loaded, so that it runs before its end
  (void)at_exit;
  if (!key) return fail(std::move(key).error());
  if (*key) {
    ERR_clear_error();
    return all.keys.emplace(name, *std::move(key)).first->second;
  }
  auto error = crypto::openssl_error(ErrorCode::missing, fmt::format("no private key at {}", uri.place()));
  if (dialog.error) return fail(*std::move(dialog.error));
  const auto why = error.message.find("PIN ");
  if (dialog.given && (why != std::string::npos || all.by_provider)) {
    all.refused.insert(token);
    return refusal(why == std::string::npos  // the provider keeps its reasons to itself
                       ? ", or has no such private key"
                       : " (" + error.message.substr(why, error.message.find_first_of(":;", why) - why) + ")");
  }
  error.remedy =
      "see `p11-kit list-modules` and `pkcs11-tool --login --list-objects`; module-path= names another module";
  return fail(std::move(error));
}

}  // namespace ingot::signer
