#!/usr/bin/env bash
# Makes the secrets that compose.yaml hands to the containers, into docker/secrets/. What is there already stays.
set -euo pipefail
cd "$(dirname "$0")"

mkdir -p secrets
chmod 0700 secrets

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

# Readable by the containers' own accounts; the folder above keeps everybody else on this machine out.
keep() {
  [[ -e secrets/$1 ]] || printf '%s' "$2" >"secrets/$1"
  chmod 0644 "secrets/$1"
}

keep database_password "$(random 24)"
keep valkey_password "$(random 24)"
keep secret_key "$(random 48)"
keep api_key_pepper "$(random 48)"
keep encryption_keys "$(random 32)"
keep database_url "postgresql://forjinn:$(<secrets/database_password)@database:5432/forjinn"
keep redis_url "redis://:$(<secrets/valkey_password)@valkey:6379/0"
echo "docker/secrets/ is ready; keep a copy of it with your backups: without it the data cannot be read."
