#!/bin/bash
# certificates.sh FOLDER: a test CA, a server certificate for localhost, a client certificate, and ones that must be refused.
set -euo pipefail
mkdir -p "$1"
cd "$1"
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

authority() { # NAME COMMON_NAME
  openssl req -x509 "${key[@]}" -keyout "$1.key" -out "$1.pem" -days 3650 -subj "/O=towline tests/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}
certificate() { # NAME AUTHORITY COMMON_NAME SUBJECT_ALT_NAME EXTENDED_KEY_USAGE
  openssl req "${key[@]}" -keyout "$1.key" -out "$1.csr" -subj "/O=towline tests/CN=$3" 2>/dev/null
  printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' "$5" "$4" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "0x$(openssl rand -hex 8)" -days 825 -sha256 \
    -extfile "$1.ext" -out "$1.pem" 2>/dev/null
  rm "$1.csr" "$1.ext"
}
authority ca "test root"
authority other "another root"
here=DNS:localhost,IP:127.0.0.1,IP:::1
certificate server ca localhost "$here" serverAuth
certificate client ca shipper.test DNS:shipper.test clientAuth
certificate server-elsewhere ca elsewhere.test DNS:elsewhere.test serverAuth
certificate server-untrusted other localhost "$here" serverAuth
certificate client-untrusted other shipper.test DNS:shipper.test clientAuth
chmod 600 ./*.key
