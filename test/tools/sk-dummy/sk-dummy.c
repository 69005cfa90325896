/*
 * A FIDO security key of software, for tests: the middleware that OpenSSH loads with `-w` or SSH_SK_PROVIDER (OpenSSH PROTOCOL.u2f; the
 * interface is that of sk-api.h, version 10). Its key handle is the private key itself, so it keeps nothing. It is touched exactly when it
 * is asked to be: a key made with `-O no-touch-required` signs without the user-presence flag.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ECDSA = 0, ED25519 = 1 };
enum { USER_PRESENT = 0x01, USER_VERIFIED = 0x04 };
enum { GENERAL = -1, UNSUPPORTED = -2 };
static const uint32_t API_VERSION = 0x000a0000;

struct option;
struct resident_key;
struct enrolled {
    uint8_t flags;
    uint8_t *public_key;
    size_t public_key_length;
    uint8_t *key_handle;
    size_t key_handle_length;
    uint8_t *signature;
    size_t signature_length;
    uint8_t *attestation;
    size_t attestation_length;
    uint8_t *authenticator_data;
    size_t authenticator_data_length;
};
struct signature {
    uint8_t flags;
    uint32_t counter;
    uint8_t *r;
    size_t r_length;
    uint8_t *s;
    size_t s_length;
};

uint32_t sk_api_version(void) { return API_VERSION; }

/* OpenSSH frees what is handed to it with free(), so nothing of libcrypto's own memory leaves this file. */
static uint8_t *copy_of(const uint8_t *bytes, size_t length) {
    uint8_t *copy = malloc(length);
    if (copy != NULL) memcpy(copy, bytes, length);
    return copy;
}

static int put_public_key(EVP_PKEY *key, uint32_t algorithm, struct enrolled *to) {
    uint8_t bytes[65]; /* An uncompressed point of P-256; Ed25519 has 32. */
    size_t length = sizeof bytes;
    int good = algorithm == ECDSA
        ? EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, bytes, sizeof bytes, &length)
        : EVP_PKEY_get_raw_public_key(key, bytes, &length);
    if (good != 1) return 0;
    to->public_key = copy_of(bytes, length);
    to->public_key_length = length;
    return to->public_key != NULL;
}

static int put_key_handle(EVP_PKEY *key, struct enrolled *to) {
    uint8_t *der = NULL;
    int length = i2d_PrivateKey(key, &der);
    if (length <= 0) return 0;
    to->key_handle = copy_of(der, (size_t)length);
    to->key_handle_length = (size_t)length;
    OPENSSL_free(der);
    return to->key_handle != NULL;
}

int sk_enroll(uint32_t algorithm, const uint8_t *challenge, size_t challenge_length, const char *application, uint8_t flags,
              const char *pin, struct option **options, struct enrolled **out) {
    (void)challenge, (void)challenge_length, (void)application, (void)pin, (void)options;
    if (algorithm != ECDSA && algorithm != ED25519) return UNSUPPORTED;
    EVP_PKEY *key = algorithm == ECDSA ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct enrolled *made = calloc(1, sizeof *made);
    int good = key != NULL && made != NULL && put_public_key(key, algorithm, made) && put_key_handle(key, made);
    EVP_PKEY_free(key);
    if (!good) {
        if (made != NULL) free(made->public_key), free(made->key_handle);
        free(made);
        return GENERAL;
    }
    made->flags = flags;
    *out = made;
    return 0;
}

/* SHA-256 of the application, flags, counter (big-endian), SHA-256 of the message. */
enum { SIGNED_LENGTH = 2 * SHA256_DIGEST_LENGTH + 5 };
static void put_signed(uint8_t *to, const char *application, const struct signature *of, const uint8_t *message, size_t length) {
    SHA256((const uint8_t *)application, strlen(application), to);
    to += SHA256_DIGEST_LENGTH;
    *to++ = of->flags;
    for (int shift = 24; shift >= 0; shift -= 8) *to++ = (uint8_t)(of->counter >> shift);
    SHA256(message, length, to);
}

static int put_ecdsa(const uint8_t *der, size_t length, struct signature *to) {
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);
    if (pair == NULL) return 0;
    to->r_length = (size_t)BN_num_bytes(ECDSA_SIG_get0_r(pair));
    to->s_length = (size_t)BN_num_bytes(ECDSA_SIG_get0_s(pair));
    to->r = malloc(to->r_length);
    to->s = malloc(to->s_length);
    int good = to->r != NULL && to->s != NULL;
    if (good) {
        BN_bn2bin(ECDSA_SIG_get0_r(pair), to->r);
        BN_bn2bin(ECDSA_SIG_get0_s(pair), to->s);
    }
    ECDSA_SIG_free(pair);
    return good;
}

static int put_ed25519(const uint8_t *bytes, size_t length, struct signature *to) {
    to->r = copy_of(bytes, length);
    to->r_length = length;
    return to->r != NULL;
}

int sk_sign(uint32_t algorithm, const uint8_t *message, size_t message_length, const char *application, const uint8_t *key_handle,
            size_t key_handle_length, uint8_t flags, const char *pin, struct option **options, struct signature **out) {
    (void)pin, (void)options;
    if (algorithm != ECDSA && algorithm != ED25519) return UNSUPPORTED;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &key_handle, (long)key_handle_length);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct signature *made = calloc(1, sizeof *made);
    uint8_t bytes[SIGNED_LENGTH];
    uint8_t raw[128];
    size_t raw_length = sizeof raw;
    int good = key != NULL && context != NULL && made != NULL;
    if (good) {
        made->flags = flags & (USER_PRESENT | USER_VERIFIED);
        made->counter = 0x01020304;
        put_signed(bytes, application, made, message, message_length);
        good = EVP_DigestSignInit(context, NULL, algorithm == ECDSA ? EVP_sha256() : NULL, NULL, key) == 1 &&
               EVP_DigestSign(context, raw, &raw_length, bytes, sizeof bytes) == 1 &&
               (algorithm == ECDSA ? put_ecdsa(raw, raw_length, made) : put_ed25519(raw, raw_length, made));
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (!good) {
        if (made != NULL) free(made->r), free(made->s);
        free(made);
        return GENERAL;
    }
    *out = made;
    return 0;
}

/* It keeps no key of its own. */
int sk_load_resident_keys(const char *pin, struct option **options, struct resident_key ***keys, size_t *count) {
    (void)pin, (void)options;
    *keys = NULL;
    *count = 0;
    return 0;
}
