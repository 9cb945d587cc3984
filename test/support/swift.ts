import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { BucketSettings } from '../../src/env.js';
import { later, temporaryFolder } from './database.js';

// A real S3 server for tests: OpenStack Swift with its S3 API, which Debian has. One of each of its servers, in a folder
// of their own, gone after the test.

export const SWIFT = { leavesOut: 'files in an S3-compatible store', get: 'apt-get install swift-proxy swift-account swift-container swift-object' }; // prettier-ignore

const KINDS = ['account', 'container', 'object'] as const;
const FILTERS = ['catch_errors', 'gatekeeper', 'memcache', 'listing_formats', 'copy', 'slo', 'dlo', 'versioned_writes'];

/** Resolves with an empty bucket. */
export async function startSwift(): Promise<BucketSettings> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'devices', 'd1'), { recursive: true });
  const common = ['bind_ip = 127.0.0.1', 'workers = 0', `swift_dir = ${folder}`, `user = ${userInfo().username}`];
  const write = (name: string, ...lines: string[]) => writeFileSync(join(folder, name), lines.join('\n'));
  write('swift.conf', '[swift-hash]', 'swift_hash_path_suffix = test', 'swift_hash_path_prefix = test');
  const [proxy, ...ports] = await freePorts(KINDS.length + 1);
  makeRings(folder, ports);
  KINDS.forEach((kind, i) => {
    // A busy machine is no reason for a list that comes late.
    const patience = kind === 'object' ? ['container_update_timeout = 60'] : [];
    write(
      `${kind}.conf`,
      ...['[DEFAULT]', ...common, `bind_port = ${ports[i]}`, `devices = ${join(folder, 'devices')}`, 'mount_check = false', ...patience], // prettier-ignore
      ...['[pipeline:main]', `pipeline = ${kind}-server`, `[app:${kind}-server]`, `use = egg:swift#${kind}`],
    );
  });
  write(
    'proxy.conf',
    ...['[DEFAULT]', ...common, `bind_port = ${proxy}`],
    ...['[pipeline:main]', 'pipeline = catch_errors gatekeeper memcache listing_formats s3api tempauth copy slo dlo versioned_writes proxy-server'], // prettier-ignore
    ...['[app:proxy-server]', 'use = egg:swift#proxy', 'account_autocreate = true', 'error_suppression_interval = 1'],
    ...['[filter:s3api]', 'use = egg:swift#s3api', 'location = us-east-1'],
    ...['[filter:tempauth]', 'use = egg:swift#tempauth', 'user_test_tester = testing .admin'],
    ...FILTERS.flatMap((name) => [`[filter:${name}]`, `use = egg:swift#${name}`]),
  );
  for (const kind of [...KINDS, 'proxy']) run(`swift-${kind}-server`, join(folder, `${kind}.conf`));
  const settings = {
    ...{ endpoint: `http://127.0.0.1:${proxy}`, region: 'us-east-1', bucket: 'pairline' },
    ...{ accessKeyId: 'test:tester', secretAccessKey: 'testing' },
  };
  // Asked before all of them listen, the proxy would give up on those that do not.
  for (const port of [...ports, proxy!]) await listens(port);
  await clientOf(settings).send(new CreateBucketCommand({ Bucket: settings.bucket }));
  return settings;
}

export function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: BucketSettings): S3Client {
  const client = new S3Client({
    ...{ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true },
    ...{ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' },
    requestHandler: { connectionTimeout: 5000, requestTimeout: 20_000 },
  });
  later(() => client.destroy());
  return client;
}

async function listens(port: number): Promise<void> {
  for (const end = Date.now() + 60_000; ;) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await new Promise<boolean>((tell) => {
      socket.once('connect', () => tell(true)).once('error', () => tell(false));
    });
    socket.destroy();
    if (isUp) return;
    if (Date.now() > end) throw new Error(`Nothing listens on port ${port}`);
  }
}

/** Which server has what: the only one of each kind has all. */
const RINGS = `
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(sys.argv[1::2], map(int, sys.argv[2::2])):
    builder = RingBuilder(2, 1, 0)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': port, 'device': 'd1', 'weight': 1,
                     'replication_ip': '127.0.0.1', 'replication_port': port, 'meta': ''})
    builder.rebalance()
    builder.get_ring().save(kind + '.ring.gz')
`;

function makeRings(folder: string, ports: number[]): void {
  const args = ['-c', RINGS, ...KINDS.flatMap((kind, i) => [kind, String(ports[i])])];
  // Debian's Python, which has Debian's packages.
  const { status, stderr } = spawnSync('/usr/bin/python3', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`No rings: ${stderr}`);
}

function run(program: string, settings: string): void {
  const child = spawn(program, [settings], { stdio: 'ignore' });
  later(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  });
}

/** The rings name the ports before the servers take them. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}
