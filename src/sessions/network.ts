import { isIPv6, SocketAddress } from 'node:net';

/**
 * What limits count an address by. Of IPv6 one customer has a network of 64 bits at the least, and as many addresses in it
 * as they like (RFC 6177); an IPv4 address that is written as IPv6 is itself.
 */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return address;
  const { address: short } = new SocketAddress({ address: plain, family: 'ipv6' });
  const mapped = /^::ffff:([\d.]+)$/.exec(short);
  if (mapped) return mapped[1]!;
  const [left = [], right = []] = short.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}
