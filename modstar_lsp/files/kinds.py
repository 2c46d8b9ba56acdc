"""What is left out although no ignore file says so, and what is never let in.

Everything here is decided by name (and size); `.modstarignore` may re-include all of it but secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from modstar_lsp.files.languages import language_by_name

# Above this a file is data or generated; parsing one of this size takes about 100 ms.
MAX_BYTES = 1_000_000
# Markup and configuration above this is data.
MAX_CONFIG_BYTES = 100_000

_CONFIG = frozenset({"yaml", "toml", "ini", "xml", "json", "text"})

VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", "CVS", "_darcs", ".sl"})

_FOLDERS: dict[str, str] = {
    name: reason
    for reason, names in {
        "vendored": (
            "node_modules bower_components jspm_packages vendor vendored _vendor vendors third_party "
            "third-party thirdparty 3rdparty 3rd_party Godeps Pods Carthage elm-stuff .yarn .pnpm-store "
            ".bundle site-packages dist-packages wheelhouse"
        ),
        "cache": (
            "__pycache__ .tox .nox .mypy_cache .pytest_cache .ruff_cache .pytype .hypothesis "
            ".ipynb_checkpoints .eggs .gradle .cache .parcel-cache .turbo .sass-cache .eslintcache "
            ".nyc_output .terraform .serverless .dart_tool .stack-work .zig-cache zig-cache .direnv .metals "
            ".bloop .bsp .ccls-cache .clangd .vs .idea .angular .vite .swc .docusaurus .kotlin .scannerwork "
            ".tmp"
        ),
        "build output": (
            "dist-newstyle zig-out _build .build .next .nuxt .output .svelte-kit .vercel .netlify "
            "CMakeFiles DerivedData htmlcov lcov-report __generated__ .aspect"
        ),
    }.items()
    for name in names.split()
}
_FOLDER_PATTERNS = re.compile(r"(?P<cache>.+\.egg-info|.+\.dSYM)|(?P<build>cmake-build-.+|bazel-.+)")

# A folder of such a name is build output only beside one of these files; git tracking it proves otherwise.
_BUILD_FOLDERS: dict[str, tuple[str, ...]] = {
    "target": ("Cargo.toml", "pom.xml", "build.sbt", "project.clj", "deps.edn", "build.sc"),
    "build": (
        "package.json",
        "build.gradle",
        "build.gradle.kts",
        "setup.py",
        "pyproject.toml",
        "CMakeLists.txt",
        "meson.build",
        "configure",
        "configure.ac",
        "Makefile",
        "pubspec.yaml",
        "build.xml",
        "Package.swift",
        "dune-project",
    ),
    "dist": ("package.json", "setup.py", "pyproject.toml", "setup.cfg", "bower.json", "gulpfile.js"),
    "out": ("package.json", "build.gradle", "build.gradle.kts", "CMakeLists.txt", "pom.xml", "foundry.toml"),
    "bin": (".csproj", ".fsproj", ".vbproj", ".classpath"),
    "obj": (".csproj", ".fsproj", ".vbproj", "Makefile"),
    "deps": ("mix.exs", "rebar.config"),
    "debug": ("Cargo.toml",),
    "coverage": ("package.json", "pyproject.toml", "setup.py", "Gemfile", "composer.json"),
}

_LOCKS = frozenset(
    (
        "package-lock.json npm-shrinkwrap.json pnpm-lock.yaml bun.lockb go.sum packages.lock.json "
        "gradle.lockfile package.resolved cartfile.resolved cabal.project.freeze .terraform.lock.hcl "
        "module.bazel.lock"
    ).split()
)
_LEGAL = re.compile(r"(?:licen[cs]es?|copying|unlicense|notice|patents)(?:[-._].*)?")
_GENERATED = (
    r".*(?:\.pb\.(?:go|cc|h|swift|dart)|_pb2(?:_grpc)?\.pyi?|_pb\.(?:js|d\.ts|rb)|\.g\.dart|\.freezed\.dart"
    r"|\.g(?:\.i)?\.cs|\.designer\.cs|[._-](?:auto)?generated\.\w+|\.gen\.(?:go|ts|js)|\.tab\.[ch]|lex\.yy\.c"
    r"|moc_.*\.cpp|\.pbxproj)|zz_generated.*|assemblyinfo\.cs"
)
_MINIFIED = (
    r".*[.-]min\.(?:js|css|mjs|cjs|html)|.*\.(?:bundle|chunk)\.(?:js|css)|.*\.(?:js|css|mjs|cjs|ts)\.map"
)
# Each name that one of these two matches holds one of these. Most names hold none, and then a query spares
# itself the compiling, 1 ms with that of _SECRET.
_TOOL_SIGNS = (
    "min.", ".bundle.", ".chunk.", ".map", ".pb.", "_pb", ".g.", ".freezed.", ".designer.", "generated",
    ".gen.", ".tab.", "lex.yy", "moc_", ".pbxproj", "assemblyinfo",
)  # fmt: skip

# JSON is data more often than it is written by hand; these are read. Compiled at the first such file.
_JSON_CONFIG = (
    r"(?:package|composer|bower|manifest|deno|jsconfig|tsconfig|turbo|nx|lerna|angular|vercel|firebase|now"
    r"|biome|appsettings|launchsettings|global|host|openapi|swagger|project|settings|tasks|launch|extensions"
    r"|devcontainer|babel\.config|jest\.config|renovate|app|info)(?:[.-][\w.-]+)?\.jsonc?|.*\.schema\.json|\.\w+rc\.json"
)
_DATA = frozenset(
    (
        "csv tsv psv svg geojson ndjson jsonl parquet arrow feather avro orc ipynb dat data log out diff "
        "patch po pot mo xlf strings resx snap har map rtf bib srt vtt gpx kml fasta fastq pdb ply obj stl "
        "off msh mtx stderr stdout golden expected rpt lst tap asc sig crc md5 sha1 sha256 sha512"
    ).split()
)
_BINARY = frozenset(
    (
        "png jpg jpeg gif bmp ico icns webp avif tif tiff psd ai eps heic raw pdf doc docx xls xlsx ppt "
        "pptx odt ods odp zip tar gz tgz bz2 xz zst lz4 7z rar jar war ear whl egg deb rpm apk aab ipa dmg "
        "iso exe dll so dylib a lib o obj class pyc pyo pyd wasm bin elf hex mp3 mp4 m4a m4v ogg oga ogv "
        "wav flac aac avi mov mkv webm ttf otf woff woff2 eot db sqlite sqlite3 mdb npy npz pt pth onnx "
        "safetensors pkl pickle joblib h5 hdf5 tflite pb ckpt gguf model nib xib storyboard swp swo "
        "ds_store jks cer crt der lockb blend fbx glb gltf unity asset prefab"
    ).split()
)

_SECRET_NAMES = frozenset(
    (
        ".netrc _netrc .npmrc .pypirc .yarnrc .yarnrc.yml .dockercfg .htpasswd .pgpass .my.cnf .mylogin.cnf "
        ".git-credentials .s3cfg .boto .vault-token .envrc .flaskenv .credentials credentials secrets "
        ".secrets .terraformrc terraform.rc kubeconfig shadow .fetchmailrc .msmtprc .mutt_certs "
        ".rediscli_auth .bash_history .zsh_history .python_history .node_repl_history .psql_history "
        ".mysql_history .irb_history"
    ).split()
)
_SECRET = (
    r"\.env(?:[.-].*)?|.*\.env|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:[._-].*)?"
    r"|.*\.(?:pem|key|p8|p12|pfx|pkcs12|jks|keystore|kdbx?|ppk|gpg|pgp|ovpn|keytab|tfstate|tfstate\..*"
    r"|tfvars|tfvars\.json|agekey|mobileprovision|secrets?)"
    r"|(?:.*[._-])?(?:credentials?|secrets?|passwords?|client[_-]secrets?[\w.-]*|service[_-]?accounts?[\w.-]*)"
    r"\.(?:json|ya?ml|toml|ini|xml|cfg|conf|properties|txt|csv|env|enc|plist)"
    r"|htpasswd|.*[._-]private[._-]?key(?:\..*)?"
)
# As for the names made by tools.
_SECRET_SIGNS = (".env", "id_", "tfstate", "tfvars", "credential", "secret", "passw", "account", "private")
_SECRET_EXTENSIONS = frozenset(
    "pem key p8 p12 pfx pkcs12 jks keystore kdb kdbx ppk gpg pgp ovpn keytab agekey mobileprovision".split()
)
_SECRET_EXAMPLE = r".*[.-](?:example|sample|template|tmpl|dist|defaults?|schema)(?:\.\w+)?"
_SECRET_FOLDERS = frozenset(
    {".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".password-store"}
)


def folder_reason(name: str, beside: Callable[[str], bool], tracked: Callable[[], bool]) -> str:
    """Why a folder is left out by its name, "" when it is not.

    `beside(ending)` tells whether the parent has a file of that name (or, for ".csproj", that extension);
    `tracked()` whether git tracks something in the folder.
    """
    reason = _FOLDERS.get(name)
    if reason:
        return reason
    evidence = _BUILD_FOLDERS.get(name)
    if evidence and any(map(beside, evidence)) and not tracked():
        return "build output"
    match = _FOLDER_PATTERNS.fullmatch(name)
    if match:
        return "cache" if match["cache"] else "build output"
    return ""


def is_secret_folder(name: str) -> bool:
    """Whether a folder of this name holds keys or credentials."""
    return name in _SECRET_FOLDERS


def is_secret(name: str) -> bool:
    """Whether a lower-case file name is that of a key, a password store or an environment file."""
    if name in _SECRET_NAMES:
        return True
    if name.rpartition(".")[2] not in _SECRET_EXTENSIONS and not any(sign in name for sign in _SECRET_SIGNS):
        return False
    return re.fullmatch(_SECRET, name) is not None and re.fullmatch(_SECRET_EXAMPLE, name) is None


def file_reason(name: str, size: int, executable: bool) -> str:
    """Why a file with this lower-case name is left out, "" when it belongs to the workspace."""
    extension = name.rpartition(".")[2] if "." in name else ""
    language = language_by_name(name)
    if not language:
        if extension in _BINARY:
            return "binary"
        if extension in _DATA:
            return "data"
        if extension == "lock" or name in _LOCKS:
            return "lock file"
        if extension or not executable:
            return "not a source file"
    if size > MAX_BYTES:
        return "larger than 1 MB"
    if name in _LOCKS or extension == "lock":
        return "lock file"
    if language in _CONFIG:
        if size > MAX_CONFIG_BYTES:
            return "data"
        if language == "json" and not re.fullmatch(_JSON_CONFIG, name):
            return "data"
    if language in ("text", "markdown", "rst", "") and _LEGAL.fullmatch(name):
        return "legal text"
    if any(sign in name for sign in _TOOL_SIGNS):
        if re.fullmatch(_MINIFIED, name):
            return "minified"
        if re.fullmatch(_GENERATED, name):
            return "generated"
    return ""
