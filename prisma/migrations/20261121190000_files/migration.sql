-- CreateTable
CREATE TABLE "uploads" (
    "id" UUID NOT NULL,
    "account_id" UUID,
    "size" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),
    "content" BYTEA NOT NULL,

    CONSTRAINT "uploads_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "files" (
    "account_id" UUID NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    "deleted" BOOLEAN NOT NULL DEFAULT false,
    "bytes" BIGINT NOT NULL,
    "created_at" BIGINT NOT NULL,
    "content" BYTEA,

    CONSTRAINT "files_pkey" PRIMARY KEY ("account_id","id")
);

-- CreateIndex
CREATE INDEX "uploads_account_id_idx" ON "uploads"("account_id");

-- CreateIndex
CREATE INDEX "uploads_expiring_idx" ON "uploads"("expires_at") WHERE (expires_at IS NOT NULL);

-- CreateIndex
CREATE INDEX "uploads_ownerless_idx" ON "uploads"("id") WHERE (account_id IS NULL);

-- CreateIndex
CREATE INDEX "files_tombstones_idx" ON "files"("at") WHERE (deleted);

-- CreateIndex
CREATE UNIQUE INDEX "files_account_id_seq_key" ON "files"("account_id", "seq");

-- AddForeignKey
ALTER TABLE "uploads" ADD CONSTRAINT "uploads_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "accounts"("id") ON DELETE SET NULL ON UPDATE CASCADE;


