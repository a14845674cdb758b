#!/bin/sh
# 只用 curl 和 jq：领任务、确认、交回、报到、听推送 · With curl and jq alone: a department's tasks.
#
# ROUTING=http://… INTAKE=http://… DEPARTMENT=police TOKEN=… KEY=…
# sh department.sh take                            lend each case's next task, print it, acknowledge it
# sh department.sh give-back                       lend them and give them back
# sh department.sh report-in CASE_ID WHISTLE_ID    by the front end's key, also while routing is down
# sh department.sh listen PLACE                    go on behind the last id that the file PLACE holds
set -eu

tasks="$ROUTING/v1/departments/$DEPARTMENT/tasks"

ask() { curl -fsS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$@"; }

# Lend tasks, one a line, and answer for each with `ack` or `nack`.
each() {
    ask "$tasks?limit=50&lease_s=60" | jq -c '.tasks[]' | while IFS= read -r task; do
        printf '%s\n' "$task" # your own effect stands here, before the answer
        lease=$(printf '%s' "$task" | jq -c '{lease_id}')
        ask -d "$lease" "$tasks/$(printf '%s' "$task" | jq -r .task_id)/$1" >&2
    done
}

case $1 in
take) each ack ;;
give-back) each nack ;;
report-in)
    # Sent again with the same key it is the same report-in: try while intake is away or has no room (429, 5xx).
    # A refusal (another 4xx) stays one: it is printed, to be mended.
    said=$(mktemp)
    trap 'rm -f "$said"' EXIT
    end=0
    curl -sS --fail-with-body --retry 10 --retry-connrefused -o "$said" -H "X-Api-Key: $KEY" -H "Idempotency-Key: in-$3" \
        -H 'Content-Type: application/json' "$INTAKE/v1/acts" -d "{\"act\": \"report_in\", \"means\": \"remote\",
            \"case_id\": \"$2\", \"whistle_id\": \"$3\", \"department\": \"$DEPARTMENT\"}" || end=$?
    cat "$said"
    exit "$end"
    ;;
listen)
    ask -N -H "Last-Event-ID: $(cat "$2" 2> /dev/null || echo 0)" "$ROUTING/v1/departments/$DEPARTMENT/stream" |
        while IFS= read -r line; do
            case $line in
            'id: '*) id=${line#id: } ;;
            'data: '*)
                printf '%s\n' "${line#data: }" # your own effect, then the place: a repeat, never a gap
                printf '%s' "$id" > "$2.next" && mv "$2.next" "$2"
                ;;
            esac
        done
    ;;
esac
