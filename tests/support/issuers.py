"""Stand-ins for the issuers of GitHub and GitLab: their discovery documents and keys, and GitHub's answer to a job that asks for
its token. Arguments: a folder, a port. Keys to sign with are in FOLDER/NAME.pem, the certificate in FOLDER/tls.crt."""

import base64
import datetime
import http.server
import ipaddress
import json
import os
import ssl
import sys
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

folder, port = sys.argv[1], int(sys.argv[2])
url = f"https://127.0.0.1:{port}"
issuers = {"github": "https://token.actions.githubusercontent.com", "gitlab": "https://gitlab.com"}


def make_key(name):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.NoEncryption())
    with open(os.path.join(folder, name + ".pem"), "wb") as file:
        file.write(pem)
    return key


def number(value):
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def jwk(name, key):
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "n": number(public.n), "e": number(public.e)}


def make_certificate():
    key = make_key("tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in issuers")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = made.add_extension(here, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(s.Encoding.PEM)
    with open(os.path.join(folder, "tls.crt"), "wb") as file:
        file.write(certificate)


served = {}
for name, issuer in issuers.items():
    served[f"/{name}/.well-known/openid-configuration"] = {
        "issuer": issuer,
        "jwks_uri": f"{url}/{name}/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    served[f"/{name}/jwks"] = {"keys": [jwk(name, make_key(name))]}
make_key("stranger")
make_certificate()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urllib.parse.urlsplit(self.path)
        if asked.path == "/github/token":
            self.token(urllib.parse.parse_qs(asked.query))
        elif asked.path in served:
            self.answer(200, served[asked.path])
        else:
            self.answer(404, {})

    def token(self, query):
        """GitHub's own: for the audience that is asked for, to whoever has the token of the request."""
        if self.headers.get("Authorization") != "bearer of-this-job" or query.get("api-version") != ["2.0"]:
            return self.answer(401, {"message": "not of a job"})
        path = os.path.join(folder, "audiences", urllib.parse.quote(query["audience"][0], safe=""))
        if not os.path.exists(path):
            return self.answer(400, {"message": "no token was prepared for this audience"})
        with open(path, encoding="utf-8") as file:
            return self.answer(200, {"count": 1, "value": file.read()})

    def answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.pem"))
server.socket = context.wrap_socket(server.socket, server_side=True)
open(os.path.join(folder, "ready"), "w", encoding="utf-8").close()
server.serve_forever()
