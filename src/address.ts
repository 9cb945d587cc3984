import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import proxyaddr from 'proxy-addr';
import { ENV, type BootEnv } from './env.js';

/** The address a request really came from: TRUST_PROXY read for sockets as Express reads it for REST. */
@Injectable()
export class AddressOf {
  private readonly trust: (address: string, hop: number) => boolean;

  constructor(@Inject(ENV) { trustProxy }: BootEnv) {
    if (typeof trustProxy === 'boolean') this.trust = () => trustProxy;
    else if (typeof trustProxy === 'number') this.trust = (_, hop) => hop < trustProxy;
    else this.trust = proxyaddr.compile(trustProxy.split(',').map((address) => address.trim()));
  }

  request(request: IncomingMessage): string {
    return proxyaddr(request, this.trust) ?? '';
  }
}
