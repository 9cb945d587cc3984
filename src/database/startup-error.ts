/** The server cannot start, and its message is one sentence for the person who starts it: no stack is worth showing. */
export class StartupError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StartupError';
  }
}
