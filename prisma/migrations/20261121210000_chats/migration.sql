-- CreateEnum
CREATE TYPE "chat_role" AS ENUM ('owner', 'admin', 'member');

-- CreateEnum
CREATE TYPE "chat_state" AS ENUM ('invited', 'accepted', 'declined', 'left', 'removed');

-- CreateTable
CREATE TABLE "chat_members" (
    "chat_id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "account_id" UUID NOT NULL,
    "role" "chat_role" NOT NULL,
    "state" "chat_state" NOT NULL,
    "invitation_id" UUID,
    "visible_from" BIGINT NOT NULL,

    CONSTRAINT "chat_members_pkey" PRIMARY KEY ("chat_id","user_id")
);

-- CreateTable
CREATE TABLE "shared_rows" (
    "account_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "born" BIGINT NOT NULL,
    "content" BYTEA,

    CONSTRAINT "shared_rows_pkey" PRIMARY KEY ("account_id","kind","id")
);

-- CreateTable
CREATE TABLE "pointers" (
    "account_id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "shared_id" UUID NOT NULL,
    "number" BIGINT NOT NULL,

    CONSTRAINT "pointers_pkey" PRIMARY KEY ("account_id","seq")
);

-- CreateTable
CREATE TABLE "blocks" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "content" BYTEA,

    CONSTRAINT "blocks_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateIndex
CREATE UNIQUE INDEX "chat_members_invitation_id_key" ON "chat_members"("invitation_id");

-- CreateIndex
CREATE INDEX "chat_members_account_id_idx" ON "chat_members"("account_id");

-- CreateIndex
CREATE INDEX "shared_rows_account_id_kind_born_idx" ON "shared_rows"("account_id", "kind", "born");

-- CreateIndex
CREATE INDEX "shared_rows_tombstones_idx" ON "shared_rows"("at") WHERE (deleted);

-- CreateIndex
CREATE UNIQUE INDEX "shared_rows_account_id_seq_key" ON "shared_rows"("account_id", "seq");

-- CreateIndex
CREATE INDEX "pointers_shared_id_number_idx" ON "pointers"("shared_id", "number");

-- CreateIndex
CREATE INDEX "blocks_of_idx" ON "blocks"("id") WHERE (NOT deleted);

-- CreateIndex
CREATE INDEX "blocks_tombstones_idx" ON "blocks"("at") WHERE (deleted);

-- CreateIndex
CREATE UNIQUE INDEX "blocks_account_id_seq_key" ON "blocks"("account_id", "seq");

-- CreateEnum
CREATE TYPE "upload_concat" AS ENUM ('partial', 'final');

-- AlterTable
ALTER TABLE "uploads" ADD COLUMN "chat_id" UUID,
ADD COLUMN "concat" "upload_concat",
ADD COLUMN "joined_to" UUID,
ADD COLUMN "place" INTEGER;
