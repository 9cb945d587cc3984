import { call } from './clients.js';

/** A figure of /metrics by its name and labels: `pairline_long_polls{what="pairing"}`; 0 until it is first counted. */
export async function figure(url: string, name: string): Promise<number> {
  const { body } = await call<string>(url, '/metrics');
  const line = body.split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length) ?? 0);
}

/** Resolves once the server itself says so: for what no client is told, such as that a poll has begun to wait. */
export async function untilFigure(url: string, name: string, wanted: number): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (let is = await figure(url, name); is !== wanted; is = await figure(url, name))
    if (Date.now() > deadline) throw new Error(`${name} stayed ${is}, never ${wanted}`);
}
