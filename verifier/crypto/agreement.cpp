#include "ingot/crypto/agreement.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include <array>

#include "key_state.hpp"

namespace ingot::crypto {
namespace {

using Number = std::unique_ptr<BIGNUM, Deleter<BN_clear_free>>;
using Group = std::unique_ptr<EC_GROUP, Deleter<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, Deleter<EC_POINT_clear_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;

struct AffinePoint {
  Buffer x, y;
};
Result<AffinePoint> coordinates(const EC_GROUP* group, const EC_POINT* point) {
  const Number x(BN_new()), y(BN_new());
  if (EC_POINT_get_affine_coordinates(group, point, x.get(), y.get(), nullptr) != 1)
    return fail(openssl_error(ErrorCode::crypto, "a point without coordinates"));
  const int size = (EC_GROUP_get_degree(group) + 7) / 8;
  AffinePoint out{Buffer(static_cast<std::size_t>(size)), Buffer(static_cast<std::size_t>(size))};
  BN_bn2binpad(x.get(), out.x.data(), size);
  BN_bn2binpad(y.get(), out.y.data(), size);
  return out;
}

Result<Group> group_of(EVP_PKEY* key) {
  std::array<char, 64> name{};
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size(), nullptr) != 1)
    return fail(openssl_error(ErrorCode::crypto, "not a key on a named elliptic curve"));
  Group group(EC_GROUP_new_by_curve_name(OBJ_txt2nid(name.data())));
  if (!group) return fail(openssl_error(ErrorCode::crypto, "an elliptic curve that OpenSSL does not know"));
  return group;
}

Result<Point> point_of(EVP_PKEY* key, const EC_GROUP* group) {
  std::array<std::uint8_t, 256> encoded{};
  std::size_t size = 0;
  Point point(EC_POINT_new(group));
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), encoded.size(), &size) != 1 ||
      EC_POINT_oct2point(group, point.get(), encoded.data(), size, nullptr) != 1)
    return fail(openssl_error(ErrorCode::crypto, "the key is no point of its curve"));
  return point;
}

Result<Number> private_number(const EC_GROUP* group, Bytes given) {
  Number number(BN_secure_new());
  const BIGNUM* order = EC_GROUP_get0_order(group);
  if (!given.empty()) {
    BN_bin2bn(given.data(), static_cast<int>(given.size()), number.get());
  } else {
    do
      if (BN_priv_rand_range(number.get(), order) != 1)
        return fail(openssl_error(ErrorCode::crypto, "making an ephemeral key"));
    while (BN_is_zero(number.get()));
  }
  if (BN_is_zero(number.get()) || BN_cmp(number.get(), order) >= 0)
    return fail(ErrorCode::crypto, "the ephemeral private number is not below the curve's order");
  return number;
}

}  // namespace

Result<Buffer> oaep_encrypt(const PublicKey& key, HashAlg alg, Bytes label, Bytes plain) {
  EVP_PKEY* handle = key.state().key.get();
  if (EVP_PKEY_get_base_id(handle) != EVP_PKEY_RSA) return fail(ErrorCode::crypto, "OAEP needs an RSA key");
  const EVP_MD* digest = EVP_get_digestbyname(alg == HashAlg::sm3_256 ? "sm3" : to_text(alg).c_str());
  const KeyContext context(EVP_PKEY_CTX_new(handle, nullptr));
  void* owned_label = OPENSSL_memdup(label.data(), label.size());  // goes over to the context
  std::size_t size = 0;
  if (EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) != 1 ||
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), owned_label, static_cast<int>(label.size())) != 1) {
    OPENSSL_free(owned_label);
    return fail(openssl_error(ErrorCode::crypto, "this key cannot encrypt with OAEP"));
  }
  if (EVP_PKEY_encrypt(context.get(), nullptr, &size, plain.data(), plain.size()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "encrypting with OAEP"));
  Buffer out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, plain.data(), plain.size()) != 1)
    return fail(openssl_error(ErrorCode::crypto, "encrypting with OAEP"));
  out.resize(size);
  return out;
}

Result<EccAgreement> agree(const PublicKey& peer, Bytes ephemeral_private) {
  EVP_PKEY* handle = peer.state().key.get();
  const auto group = TRY(group_of(handle));
  const auto their_point = TRY(point_of(handle, group.get()));
  const auto number = TRY(private_number(group.get(), ephemeral_private));
  const Point ephemeral(EC_POINT_new(group.get())), shared(EC_POINT_new(group.get()));
  if (EC_POINT_mul(group.get(), ephemeral.get(), number.get(), nullptr, nullptr, nullptr) != 1 ||
      EC_POINT_mul(group.get(), shared.get(), nullptr, their_point.get(), number.get(), nullptr) != 1)
    return fail(openssl_error(ErrorCode::crypto, "agreeing on a secret"));
  auto ours = TRY(coordinates(group.get(), ephemeral.get()));
  auto shared_point = TRY(coordinates(group.get(), shared.get()));
  Secret z(std::move(shared_point.x));
  const Secret unused(std::move(shared_point.y));
  auto theirs = TRY(coordinates(group.get(), their_point.get()));
  return EccAgreement{std::move(z), std::move(ours.x), std::move(ours.y), std::move(theirs.x)};
}

}  // namespace ingot::crypto
