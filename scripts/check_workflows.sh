#!/usr/bin/env bash
# Checks the workflows and the issue forms against the schemas that GitHub has for them, offline.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
