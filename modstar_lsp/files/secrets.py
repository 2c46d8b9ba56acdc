"""Keys, passwords and tokens: files that are never indexed, by their names and by what is in them.

The names and formats are those that scanners of repositories look for (detect-secrets, gitleaks). Such a
scanner asks a person about what it finds. Here a file is left out, so code stays in whatever it is called
(`secrets.py`, `token.go`), and so do tests that have a key among their data. All patterns take time linear in
the text: none has two loops that could share what they take.
"""

from __future__ import annotations

import re

from modstar_lsp.files.languages import PROSE, SETTINGS, language_by_name

_SECRET_NAMES = frozenset(
    (
        ".env .netrc _netrc .npmrc .pypirc .yarnrc .yarnrc.yml .dockercfg .dockerconfigjson .htpasswd "
        ".pgpass pgpass.conf .my.cnf .mylogin.cnf .git-credentials .s3cfg s3cfg .passwd-s3fs .boto "
        ".vault-token .vault_pass .vault-pass .envrc .flaskenv .credentials credentials secrets .secrets "
        ".terraformrc terraform.rc kubeconfig shadow .fetchmailrc .msmtprc .mbsyncrc .offlineimaprc "
        ".getmailrc .muttrc .mutt_certs .rediscli_auth .bash_history .zsh_history .python_history "
        ".node_repl_history .psql_history .mysql_history .sqlite_history .irb_history .curlrc _curlrc "
        ".wgetrc .databrickscfg .sentryclirc .clasprc.json .ftpconfig .remote-sync.json sftp-config.json "
        ".smbcredentials smbcredentials wpa_supplicant.conf rclone.conf settings-security.xml "
        "filezilla.xml sitemanager.xml recentservers.xml kaggle.json google-services.json "
        "googleservice-info.plist auth.json token.json wp-config.php keystore.properties key.properties "
        "signing.properties"
    ).split()
)
# What is secret in such a folder only.
_NAMES_IN = frozenset(
    (
        ".m2/settings.xml gh/hosts.yml gh/hosts.yaml glab-cli/config.yml doctl/config.yaml "
        ".dbt/profiles.yml .config/hub .snowsql/config .vscode/sftp.json .gem/credentials "
        ".kaggle/kaggle.json .docker/config.json .gradle/gradle.properties .nuget/nuget.config "
        ".subversion/auth .composer/auth.json .kube/config"
    ).split()
)
_EXTENSIONS = frozenset(
    (
        "pem key p8 p12 pfx pkcs12 jks keystore kdb kdbx ppk gpg pgp ovpn keytab agekey age "
        "mobileprovision keychain psafe3 agilekeychain publishsettings kubeconfig tfstate tfvars secret "
        "secrets vault env"
    ).split()
)
_DATA_END = r"\.(?:json|ya?ml|toml|ini|xml|cfg|conf|config|properties|txt|csv|tsv|env|enc|plist|log|bak|old)"
_ANY = r"(?s).*"
# Whatever the extension, code too: these are names of one thing only.
_ALWAYS = r"\.env(?:[.-].*)?|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:[._-].*)?|.*\.tf(?:state|vars)(?:\..*)?"
# Code and documentation about such things have these names as well, with other extensions.
_DATA_ONLY = (
    r"(?:.*[._-])?(?:credentials?|creds|secrets?|passwords?|passwds?|passphrases?|htpasswd"
    r"|client[_-]secrets?[\w.-]*|service[_-]?accounts?[\w.-]*|kube[_-]?config|firebase[_-]adminsdk[\w.-]*"
    r"|vault[_-]?pass(?:word)?|secret[_-]?(?:key|token)s?|priv(?:ate)?[._-]?key"
    r"|(?:api|access|auth|bearer|refresh|oauth2?|bot|deploy|github|gitlab|npm|pypi|slack|ssh|signing|encryption)"
    r"[._-]?(?:keys?|tokens?))(?:" + _DATA_END + r")?"
    r"|(?:ansible[_-])?vault\.(?:ya?ml|json|txt)|tokens?\.(?:txt|env|enc|ini|cfg|conf|properties)"
)
# Each name that these match has one of the extensions above or holds one of these signs. Most names do not,
# and then a query spares itself the compiling, 0.6 ms.
_ALWAYS_SIGNS = (".env", "id_", "tfstate", "tfvars")
_DATA_SIGNS = (
    "cred",
    "secret",
    "passw",
    "passphrase",
    "account",
    "priv",
    "kube",
    "firebase",
    "vault",
    "token",
    "key",
)
_EXAMPLE_NAME = r".*[.-](?:example|sample|template|tmpl|dist|defaults?|schema)(?:\.\w+)?"
_KEY_FOLDERS = frozenset(
    {".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".password-store"}
)

# Of a key's own letters so many make it one; documentation cuts its examples short.
_MIN_KEY_CHARS = 100
_MAX_KEY_CHARS = 4_000
_KEY = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
# Between the letters of a key: line ends, also written out, and what quotes lines in code.
_KEY_FILL = r"(?:\\+[nrt]|[\s\"'`,|>#*/+]|(?:Proc-Type|DEK-Info|Version|Comment|Subject): ?[^\n\\]*)+"
_KEY_LETTERS = r"[A-Za-z0-9+/=]*"
_OTHER_KEYS = r"(?m)^PuTTY-User-Key-File-\d:|\bAGE-SECRET-KEY-1[0-9A-Z]{58}|\A\$ANSIBLE_VAULT;"
# Tokens of services that say what they are, in settings.
_TOKEN_PATTERNS = (
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{82}|glpat-[\w-]{20}|xox[abprs]-\d{9,15}-[\w-]{10}"
    r"|sk_live_\w{24}|npm_[A-Za-z0-9]{36}|pypi-AgEIcHlwaS5vcmc[\w-]{50}|sk-ant-\w{3,6}-[\w-]{80}"
    r"|SG\.[\w-]{22}\.[\w-]{43}|dop_v1_[a-f0-9]{64}|hvs\.[\w-]{90}|hf_[A-Za-z]{34}"
    r"|sk-[\w-]{20,200}T3BlbkFJ[\w-]{20}|aws_secret_access_key\s{0,9}[=:]\s{0,9}[\"']?[A-Za-z0-9/+]{40})"
    r"|(?m:^[ \t]*PrivateKey[ \t]*=[ \t]*[A-Za-z0-9+/]{43}=)"
)
_TOKEN_SIGNS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk_live_", "npm_", "pypi-"),
    *("sk-ant-", "SG.", "dop_v1_", "hvs.", "hf_", "T3BlbkFJ", "aws_secret_access_key", "PrivateKey"),
)
_SERVICE_ACCOUNT = r'"type"\s*:\s*"service_account"'
_KUBERNETES_SECRET = r"(?m)^[ \t-]*[\"']?kind[\"']?:[ \t]*[\"']?Secret[\"']?,?[ \t\r]*$"
_KUBERNETES_VALUE = (
    r"(?m)^[ \t]*[\"']?(?:stringD|d)ata[\"']?:[ \t]*(?:\{[ \t]*)?\r?\n(?:[ \t]*#.*\n)*"
    r"[ \t]+[\w.\"'-]+:[ \t]*[\"']?(?![ \t{$<\"'])\S"
)
_KUBECONFIG = r"(?m)^[ \t]*[\"']?client-key-data[\"']?:[ \t]*[\"']?[A-Za-z0-9+/=]{40}"
_MAVEN_PASSWORD = r"<(?:password|passphrase)>[^<\s${]"
_DOCKER_LOGIN = r'"auth"\s*:\s*"[A-Za-z0-9+/=]{8}'
_TESTS = (
    r"(?i:(?:^|[/._-])(?:tests?|testing|testdata|specs?|fixtures?|mocks?|examples?|samples?)(?=[/._-]|\d*\.\w+$))"
    r"|[a-z\d]Tests?\."
)


def is_secret_folder(name: str) -> bool:
    """Whether a folder of this name holds keys or credentials."""
    return name in _KEY_FOLDERS


def is_secret(path: str) -> bool:
    """Whether a lower-case path is that of a key, a password store or an environment file."""
    folder, _, name = path.rpartition("/")
    if name in _SECRET_NAMES or (folder and f"{folder.rpartition('/')[2]}/{name}" in _NAMES_IN):
        return True
    pattern = ""
    if name.rpartition(".")[2] in _EXTENSIONS:
        pattern = _ANY
    else:
        # any() takes three times as long, at every file
        for sign in _DATA_SIGNS:
            if sign in name:
                pattern = _DATA_ONLY if _is_data(name) else ""
                break
        for sign in _ALWAYS_SIGNS:
            if sign in name:
                pattern = _ALWAYS
                break
    return bool(pattern and re.fullmatch(pattern, name) and not re.fullmatch(_EXAMPLE_NAME, name))


def holds_secret(path: str, text: str) -> bool:
    """Whether a text is a key or has one in it, or the passwords and tokens of some settings."""
    if "PRIVATE KEY" in text and _holds_key(path, text):
        return True
    other = "PuTTY-" in text or "AGE-SECRET" in text or text.startswith("$ANSIBLE")
    if other and not _is_test(path) and re.search(_OTHER_KEYS, text):
        return True
    language = language_by_name(path.rpartition("/")[2].lower())
    if language not in SETTINGS:
        return False
    if "service_account" in text and '"private_key"' in text and re.search(_SERVICE_ACCOUNT, text):
        return True
    if "Secret" in text and re.search(_KUBERNETES_SECRET, text) and re.search(_KUBERNETES_VALUE, text):
        return True
    if "client-key-data" in text and re.search(_KUBECONFIG, text):
        return True
    if "<server>" in text and re.search(_MAVEN_PASSWORD, text):
        return True
    if '"auths"' in text and re.search(_DOCKER_LOGIN, text):
        return True
    return any(sign in text for sign in _TOKEN_SIGNS) and re.search(_TOKEN_PATTERNS, text) is not None


def _holds_key(path: str, text: str) -> bool:
    if re.match(r"\s*-----BEGIN [A-Z ]*PRIVATE KEY", text):
        return True
    if _is_test(path):
        return False
    fill, letters = re.compile(_KEY_FILL), re.compile(_KEY_LETTERS)
    for begin in re.finditer(_KEY, text):
        at, end, found = begin.end(), min(len(text), begin.end() + _MAX_KEY_CHARS), 0
        while at < end and found < _MIN_KEY_CHARS:
            skipped = fill.match(text, at, end)
            at = skipped.end() if skipped else at
            line = letters.match(text, at, end)
            if line is None or line.end() == at:
                break
            found += line.end() - at
            at = line.end()
        if found >= _MIN_KEY_CHARS:
            return True
    return False


def _is_data(name: str) -> bool:
    """Whether a lower-case name is that of settings, text or something unknown: no code, no documentation."""
    language = language_by_name(name)
    return not language or language == "text" or language in SETTINGS


def _is_test(path: str) -> bool:
    """Whether a file is code and a test, where a key is made for the test."""
    name = path.rpartition("/")[2].lower()
    return not _is_data(name) and language_by_name(name) not in PROSE and re.search(_TESTS, path) is not None
