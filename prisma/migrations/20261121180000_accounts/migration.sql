-- DropIndex
DROP INDEX "states_living_idx";

-- AlterTable
ALTER TABLE "accounts" ADD COLUMN     "joined_into" UUID,
ADD COLUMN     "realm" TEXT NOT NULL DEFAULT 'default',
ADD COLUMN     "state_bytes" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "state_keys" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "devices" ADD COLUMN     "generation" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "conversations" ADD COLUMN     "edited_at" BIGINT;

-- AlterTable
ALTER TABLE "messages" ADD COLUMN     "edited_at" BIGINT;

-- CreateTable
CREATE TABLE "realms" (
    "slug" TEXT NOT NULL,
    "index_key" BYTEA NOT NULL,

    CONSTRAINT "realms_pkey" PRIMARY KEY ("slug")
);

-- CreateTable
CREATE TABLE "logins" (
    "account_id" UUID NOT NULL,
    "realm" TEXT NOT NULL,
    "email_index" BYTEA,
    "name_index" BYTEA,
    "password_hash" TEXT,
    "content" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "logins_pkey" PRIMARY KEY ("account_id")
);

-- CreateTable
CREATE TABLE "codes" (
    "realm" TEXT NOT NULL,
    "email_index" BYTEA NOT NULL,
    "purpose" TEXT NOT NULL,
    "code_hash" BYTEA NOT NULL,
    "tries_left" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "codes_pkey" PRIMARY KEY ("realm","email_index","purpose")
);

-- CreateTable
CREATE TABLE "refresh_tokens" (
    "token_hash" BYTEA NOT NULL,
    "account_id" UUID NOT NULL,
    "device_id" TEXT NOT NULL,
    "family" UUID NOT NULL,
    "generation" INTEGER NOT NULL,
    "used_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "refresh_tokens_pkey" PRIMARY KEY ("token_hash")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "account_id" UUID NOT NULL,
    "id" UUID NOT NULL,
    "key_hash" BYTEA NOT NULL,
    "content" BYTEA NOT NULL,
    "scopes" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateTable
CREATE TABLE "account_events" (
    "account_id" UUID NOT NULL,
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "event" TEXT NOT NULL,
    "content" BYTEA NOT NULL,

    CONSTRAINT "account_events_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateTable
CREATE TABLE "erasures" (
    "account_id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "erasures_pkey" PRIMARY KEY ("account_id")
);

-- CreateTable
CREATE TABLE "records" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "collection" TEXT NOT NULL,
    "client_date" TEXT NOT NULL,
    "changed_at" BIGINT NOT NULL,
    "origin" TEXT NOT NULL,
    "content" BYTEA,

    CONSTRAINT "records_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateTable
CREATE TABLE "pending_pulls" (
    "account_id" UUID NOT NULL,
    "device_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "changed_at" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,

    CONSTRAINT "pending_pulls_pkey" PRIMARY KEY ("account_id","device_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "logins_realm_email_index_key" ON "logins"("realm", "email_index");

-- CreateIndex
CREATE UNIQUE INDEX "logins_realm_name_index_key" ON "logins"("realm", "name_index");

-- CreateIndex
CREATE INDEX "codes_expires_at_idx" ON "codes"("expires_at");

-- CreateIndex
CREATE INDEX "refresh_tokens_account_id_device_id_idx" ON "refresh_tokens"("account_id", "device_id");

-- CreateIndex
CREATE INDEX "refresh_tokens_family_idx" ON "refresh_tokens"("family");

-- CreateIndex
CREATE INDEX "refresh_tokens_expires_at_idx" ON "refresh_tokens"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_key_hash_key" ON "api_keys"("key_hash");

-- CreateIndex
CREATE INDEX "account_events_at_idx" ON "account_events"("at");

-- CreateIndex
CREATE INDEX "records_tombstones_idx" ON "records"("at") WHERE (deleted);

-- CreateIndex
CREATE UNIQUE INDEX "records_account_id_seq_key" ON "records"("account_id", "seq");

-- CreateIndex
CREATE INDEX "pending_pulls_at_idx" ON "pending_pulls"("at");

-- CreateIndex
CREATE INDEX "accounts_joined_idx" ON "accounts"("joined_into") WHERE (joined_into IS NOT NULL);

-- AddForeignKey
ALTER TABLE "logins" ADD CONSTRAINT "logins_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "refresh_tokens" ADD CONSTRAINT "refresh_tokens_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "account_events" ADD CONSTRAINT "account_events_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the states amount to that are there already.
UPDATE "accounts" a SET "state_keys" = s.keys, "state_bytes" = s.bytes
FROM (SELECT "account_id", count(*) AS keys, sum(octet_length("content")) AS bytes FROM "states" WHERE NOT "deleted" GROUP BY "account_id") s
WHERE a."id" = s."account_id";
