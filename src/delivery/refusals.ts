import { Inject, Injectable } from '@nestjs/common';
import { asRelayError } from '../database/as-relay-error.js';
import type { RelayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import { Metrics } from '../metrics.js';

/** What a client is told when something failed. */
@Injectable()
export class Refusals {
  constructor(
    private readonly metrics: Metrics,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** As an error of the catalogue: counted, and logged when it is a fault of ours. */
  of(error: unknown): RelayError {
    const told = asRelayError(error);
    this.metrics.errors.inc({ code: told.code });
    if (told.code === 'internal') this.log.error({ err: error }, 'an event failed');
    return told;
  }
}
