-- CreateEnum
CREATE TYPE "device_kind" AS ENUM ('phone', 'browser');

-- CreateEnum
CREATE TYPE "message_type" AS ENUM ('received', 'sent');

-- CreateEnum
CREATE TYPE "message_status" AS ENUM ('queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'cancelled');

-- CreateTable
CREATE TABLE "accounts" (
    "id" UUID NOT NULL,
    "seq" BIGINT NOT NULL DEFAULT 0,
    "horizon" BIGINT NOT NULL DEFAULT 0,
    "data_key" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "accounts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "devices" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "kind" "device_kind" NOT NULL,
    "phone_id" TEXT,
    "token_hash" BYTEA,
    "paired_with" TEXT,
    "content" BYTEA,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "devices_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateTable
CREATE TABLE "pairings" (
    "token_hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "claimed_at" TIMESTAMPTZ(3),
    "account_id" UUID,
    "phone_id" TEXT,
    "browser_id" TEXT,
    "collected_at" TIMESTAMPTZ(3),

    CONSTRAINT "pairings_pkey" PRIMARY KEY ("token_hash")
);

-- CreateTable
CREATE TABLE "conversations" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "content" BYTEA,
    "number_index" BYTEA,
    "last_message_time" BIGINT NOT NULL DEFAULT 0,
    "unread_count" INTEGER NOT NULL DEFAULT 0,
    "counted_up_to" BIGINT NOT NULL DEFAULT 0,
    "read_up_to" BIGINT NOT NULL DEFAULT 0,
    "read_pending" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "conversations_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateTable
CREATE TABLE "messages" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "conversation_id" TEXT NOT NULL,
    "type" "message_type" NOT NULL,
    "status" "message_status",
    "read" BOOLEAN NOT NULL,
    "timestamp" BIGINT NOT NULL,
    "phone_message_id" TEXT,
    "origin" TEXT,
    "valid_until" BIGINT,
    "content" BYTEA,

    CONSTRAINT "messages_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "devices_phone_id_key" ON "devices"("phone_id");

-- CreateIndex
CREATE UNIQUE INDEX "devices_token_hash_key" ON "devices"("token_hash");

-- CreateIndex
CREATE UNIQUE INDEX "devices_account_id_seq_key" ON "devices"("account_id", "seq");

-- CreateIndex
CREATE INDEX "pairings_expires_at_idx" ON "pairings"("expires_at");

-- CreateIndex
CREATE INDEX "conversations_account_id_number_index_idx" ON "conversations"("account_id", "number_index");

-- CreateIndex
CREATE INDEX "conversations_read_pending_idx" ON "conversations"("account_id") WHERE (read_pending);

-- CreateIndex
CREATE UNIQUE INDEX "conversations_account_id_seq_key" ON "conversations"("account_id", "seq");

-- CreateIndex
CREATE INDEX "messages_account_id_conversation_id_timestamp_idx" ON "messages"("account_id", "conversation_id", "timestamp");

-- CreateIndex
CREATE INDEX "messages_phone_id_idx" ON "messages"("account_id", "phone_message_id") WHERE (phone_message_id IS NOT NULL);

-- CreateIndex
CREATE INDEX "messages_queued_idx" ON "messages"("account_id", "seq") WHERE (status = 'queued');

-- CreateIndex
CREATE INDEX "messages_deadline_idx" ON "messages"("valid_until") WHERE (status = 'queued');

-- CreateIndex
CREATE UNIQUE INDEX "messages_account_id_seq_key" ON "messages"("account_id", "seq");

-- CreateIndex
CREATE INDEX "devices_tombstones_idx" ON "devices"("at") WHERE (deleted);

-- CreateIndex
CREATE INDEX "conversations_tombstones_idx" ON "conversations"("at") WHERE (deleted);

-- CreateIndex
CREATE INDEX "messages_tombstones_idx" ON "messages"("at") WHERE (deleted);

-- AddForeignKey
ALTER TABLE "devices" ADD CONSTRAINT "devices_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "pairings" ADD CONSTRAINT "pairings_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- An account's row is updated with every batch. Room left in each page keeps the new version beside the old one, and since
-- no index has its number, such an update touches no index at all.
ALTER TABLE "accounts" SET (fillfactor = 70);
