-- AlterTable
ALTER TABLE "pairings" ADD COLUMN     "keys" TEXT;

-- CreateTable
CREATE TABLE "states" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "content" BYTEA,

    CONSTRAINT "states_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateIndex
CREATE INDEX "states_living_idx" ON "states"("account_id") WHERE (NOT deleted);

-- CreateIndex
CREATE INDEX "states_tombstones_idx" ON "states"("at") WHERE (deleted);

-- CreateIndex
CREATE UNIQUE INDEX "states_account_id_seq_key" ON "states"("account_id", "seq");
