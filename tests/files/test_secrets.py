"""Keys, passwords and tokens are never indexed; code and documentation about them are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planting import Plant

from modstar_lsp.files import Unreadable, read_source, secrets, walk
from modstar_lsp.files.secrets import holds_secret, is_secret

SECRET = (
    ".env .env.production prod.env server.pem server.key id_rsa id_ed25519.old keys/app.p12 putty.ppk "
    ".m2/settings.xml gh/hosts.yml .config/gh/hosts.yml pgpass.conf .pgpass rclone.conf kubeconfig "
    "kubeconfig.yaml prod.kubeconfig cluster-kubeconfig.yml .netrc .npmrc .pypirc .yarnrc.yml "
    ".git-credentials .htpasswd service-account.json my-service-account.json service_account_key.json "
    "app-firebase-adminsdk-x1-0a.json vault.yml group_vars/all/vault.yml vault_pass.txt .vault_pass "
    "ansible-vault.yml terraform.tfvars prod.auto.tfvars terraform.tfvars.json terraform.tfstate "
    "terraform.tfstate.backup token.txt tokens.txt token.json github_token.txt api_key.txt "
    "api-keys.json apikeys.yaml access_token.json secret_key secret-key.txt password.txt passwords.csv "
    "db_password.txt credentials.json credentials aws-credentials.ini creds.yml secrets.yaml "
    "app.secrets.json client_secret.json client_secret_123.apps.json private_key.txt privkey.txt "
    "rsa-private-key auth.json .sentryclirc .databrickscfg wp-config.php sftp-config.json "
    ".vscode/sftp.json .dbt/profiles.yml key.properties keystore.properties identity.agekey secrets.age "
    "settings-security.xml ssh_key.txt .bash_history"
).split()
HARMLESS = (
    ".env.example .env.sample secrets.py secrets.go secrets.md docs/secrets.md token.go token.py "
    "token.rs tokens.ts vault.rs vault.go vault.md vault/README.md credentials.py credentials.java "
    "password_reset.rb passwords.c keys.py private_key.py load_private_key.c private-key.md api_keys.py "
    "api_key.rb apikey.ts auth_token.go kubeconfig.go service_account.py service-account.ts "
    "settings.xml hosts.yml config.yml tokenizer.json tokens.css key.c keymap.json monkey.txt "
    "turkey.yaml keyboard.toml environment.ts env.py env.d.ts environment.yml account.yaml "
    "terraform.tfvars.example credentials.example.json secrets.template.yaml secret_sharing.py "
    "secrets_test.go privileges.txt private.txt passwordless.md authors.txt tokenize.txt "
    "invalid_token.html auth.py hash_key.sql"
).split()


@pytest.mark.parametrize("name", SECRET)
def test_what_is_named_as_a_secret_is_one(name: str) -> None:
    assert is_secret(name)
    assert is_secret(f"some/folder/{name}")


@pytest.mark.parametrize("name", HARMLESS)
def test_code_and_pages_about_secrets_are_none(name: str) -> None:
    assert not is_secret(name)


@settings(max_examples=30, deadline=None)
@given(
    st.from_regex(rf"(?:{secrets._ALWAYS})", fullmatch=True)
    | st.from_regex(secrets._DATA_ONLY, fullmatch=True)
)
def test_every_name_of_a_secret_is_looked_at(name: str) -> None:
    """The shortcut past the patterns never misses what they match."""
    if secrets._is_data(name) or re.fullmatch(secrets._ALWAYS, name):
        assert is_secret(name) or re.fullmatch(secrets._EXAMPLE_NAME, name) or "/" in name


LETTERS = "MIIEpAIBAAKCAQEAx0" + "abcdEFGH1234+/xyZ" * 12
BODY = "\n".join(LETTERS[at : at + 64] for at in range(0, len(LETTERS), 64))
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----\n"
ESCAPED = PEM.replace("\n", "\\n")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("deploy.txt", PEM),
        ("bag.txt", f"Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>\n{PEM}"),
        ("notes.md", f"# Access\n\nUse this:\n\n{PEM}\nbye\n"),
        ("conf.yaml", "key: |\n" + "".join(f"  {line}\n" for line in PEM.splitlines())),
        ("old.txt", PEM.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,00\n\n", 1)),
        ("app.json", f'{{"key": "{ESCAPED}"}}'),
        ("src/app.py", f'KEY = """{PEM}"""\n'),
        ("src/app.js", "const key = " + " +\n".join(f"'{line}\\n'" for line in PEM.splitlines())),
        ("putty.txt", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\nAAAA\n"),
        ("age.txt", "# created: 2024\nAGE-SECRET-KEY-1" + "QWERTYUIOP" * 5 + "ASDFGHJK\n"),
        ("pgp.txt", f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n{BODY}\n"),
        ("ssh2.txt", f'---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "x"\n{BODY}\n'),
        ("app.json", '{"type": "service_account", "private_key": "x", "client_email": "a@b"}'),
        ("k8s.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  password: aGVsbG8=\n"),
        ("k8s.yml", "a: b\n---\nkind: Secret\nstringData:\n  # the password\n  password: hello\n"),
        ("k8s.json", '{\n "kind": "Secret",\n "data": {\n  "password": "aGVsbG8="\n }\n}\n'),
        ("cluster.yaml", "users:\n- user:\n    client-key-data: " + "QUJD" * 20 + "\n"),
        (
            "settings.xml",
            "<settings><servers><server><id>x</id><password>hunter2</password></server></servers>",
        ),
        ("config.json", '{"auths": {"r.example": {"auth": "dXNlcjpwYXNzd29yZA=="}}}'),
        ("all.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
        ("ci.yml", "token: ghp_" + "a1B2" * 9 + "\n"),
        ("wg0.conf", "[Interface]\nPrivateKey = " + "a" * 43 + "=\n"),
        ("aws.ini", "aws_secret_access_key = " + "aB3/" * 10 + "\n"),
    ],
)
def test_what_holds_a_secret_is_not_read(plant: Plant, path: str, text: str) -> None:
    assert holds_secret(path, text)
    root = plant({path: text})
    with pytest.raises(Unreadable, match="secret"):
        read_source(root, path)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("tests/test_jwt.py", f'KEY = """{PEM}"""\n'),
        ("src/crypto/rsa_test.go", f"const key = `{PEM}`\n"),
        ("KeyTest.java", f'String KEY = "{ESCAPED}";'),
        ("pem.py", 'BEGIN = "-----BEGIN RSA PRIVATE KEY-----"\nEND = "-----END RSA PRIVATE KEY-----"\n'),
        (
            "README.md",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKC...\n-----END RSA PRIVATE KEY-----\n".join("ab"),
        ),
        (
            "secret.yaml",
            "kind: Secret\nmetadata:\n  name: x\ndata:\n  password: {{ .Values.password | b64enc }}\n",
        ),
        ("template.yaml", "kind: Secret\ndata:\n  password: ${PASSWORD}\n"),
        ("sealed.yaml", "kind: SealedSecret\nspec:\n  encryptedData:\n    password: AgBy\n"),
        ("settings.xml", "<server><id>x</id><password>${env.PASSWORD}</password></server>"),
        ("scan.py", "PATTERN = r'AGE-SECRET-KEY-1[0-9A-Z]{58}|PuTTY-User-Key-File-2|ghp_[a-z]'\n"),
        ("ci.yml", "token: ${{ secrets.GITHUB_TOKEN }} # ghp_xxx\n"),
    ],
)
def test_what_speaks_of_secrets_is_read(path: str, text: str) -> None:
    assert not holds_secret(path, text)


def test_secrets_are_counted_as_such(plant: Plant) -> None:
    root = plant({"a.py": "", "gh/hosts.yml": "token: x", ".m2/settings.xml": "<a/>", "gh/code.yml": "a: b"})
    found = walk(root)
    assert {entry.path for entry in found.skipped if entry.reason == "secret"} == {
        "gh/hosts.yml",
        ".m2/settings.xml",
    }


@pytest.mark.parametrize(
    "unit",
    [
        "-----BEGIN RSA PRIVATE KEY-----Subject: ",
        "-----BEGIN RSA PRIVATE KEY-----\n \n",
        "-----BEGIN A ",
        "<server>",
        "<server><password>     ",
        '"auths" : { "auth" : ',
        "kind: Secret\ndata:\n\n\n#\n",
        "kind: Secret\ndata:" + " " * 400,
        "client-key-data:" + " " * 400 + "\n",
        "sk-T3BlbkFJ-",
        "pypi-AgEIcHlwaS5vcmc",
        "aws_secret_access_key =   ",
        "PrivateKey = \n\n\n",
        "PuTTY-AGE-SECRET-KEY-1AAAA",
    ],
)
def test_no_text_is_looked_at_for_long(unit: str) -> None:
    script = "import sys\nfrom modstar_lsp.files.secrets import holds_secret\n"
    script += (
        "text = sys.stdin.read()\nprint([holds_secret(path, text) for path in ('a.yaml', 'a.xml', 'a.py')])\n"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script],
        input=unit * (1_000_000 // len(unit)),
        capture_output=True,
        text=True,
        timeout=120,  # a guard against hanging: it takes a fraction of a second
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("[")
