/** The database was not reached, or the connection broke: another try may succeed. */
export function isConnectionError(error: unknown): boolean {
  return causes(error).some(
    (fault) =>
      CONNECTION_CODES.test(codeOf(fault)) || (fault instanceof Error && CONNECTION_MESSAGES.test(fault.message)),
  );
}

/** A row with that key is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return causes(error).some((fault) => UNIQUE_CODES.test(codeOf(fault)));
}

/** The account that a row was to belong to is gone: nothing else is referred to. */
export function isOrphan(error: unknown): boolean {
  return causes(error).some((fault) => ORPHAN_CODES.test(codeOf(fault)));
}

const ORPHAN_CODES = /^(23503|P2003|ForeignKeyConstraintViolation)$/;

/** Two transactions waited for each other: another try may succeed. */
export function isDeadlock(error: unknown): boolean {
  return causes(error).some((fault) => DEADLOCK_CODES.test(codeOf(fault)));
}

const DEADLOCK_CODES = /^(40P01|40001)$/;

const UNIQUE_CODES = /^(23505|P2002|UniqueConstraintViolation)$/;

// Postgres (connection exceptions, shutdown and recovery, no room left, no such database, a standby), Node, Prisma (P2028: no
// connection in time for a transaction), Prisma’s driver adapter.
const CONNECTION_CODES =
  /^(08...|57P0[12345]|53...|3D000|25006|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|P1001|P1002|P1003|P1008|P1017|P2024|P2028|P2037|DatabaseNotReachable|DatabaseDoesNotExist|ConnectionClosed|SocketTimeout|TooManyConnections)$/;

// What `pg` throws without a code.
const CONNECTION_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired$|Client has encountered a connection error|Cannot use a pool after calling end)/;

interface Fault {
  code?: unknown;
  originalCode?: unknown;
  kind?: unknown;
  cause?: unknown;
  errors?: unknown;
  meta?: { driverAdapterError?: unknown };
}

/** Prisma wraps the driver's error, Node gathers the failures of several addresses. */
function causes(error: unknown, depth = 0): Fault[] {
  if (typeof error !== 'object' || error === null || depth > 5) return [];
  const fault: Fault = error;
  const inner = [
    fault.cause,
    fault.meta?.driverAdapterError,
    ...(Array.isArray(fault.errors) ? (fault.errors as unknown[]) : []),
  ];
  return [fault, ...inner.flatMap((each) => causes(each, depth + 1))];
}

function codeOf({ code, originalCode, kind }: Fault): string {
  // Prisma's P2010 says only that raw SQL failed; the database's own code is further in.
  return [code, originalCode, kind].find((each): each is string => typeof each === 'string') ?? '';
}
