import { Global, Module } from '@nestjs/common';
import { AccountController } from './account.controller.js';
import { AccountDeletion } from './account-deletion.js';
import { AccountExport } from './account-export.js';
import { AccountJoin } from './account-join.js';
import { Afterwards } from './afterwards.js';
import { Codes } from './codes.service.js';
import { Directory } from './directory.js';
import { HashingThread } from './hashing-thread.js';
import { OwnAccount } from './own-account.js';
import { OwnerCheck } from './owner-check.js';
import { Passwords } from './passwords.js';
import { People } from './people.js';
import { ProfileController } from './profile.controller.js';
import { Profile } from './profile.service.js';
import { RealmSignInController } from './realm-sign-in.controller.js';
import { RealmSignIn } from './realm-sign-in.service.js';
import { RefreshTokens } from './refresh-tokens.js';
import { RemoteData } from './remote-data.js';
import { Renewal } from './renewal.js';
import { SignInController } from './sign-in.controller.js';
import { SignIn } from './sign-in.service.js';

@Global()
@Module({
  controllers: [AccountController, ProfileController, RealmSignInController, SignInController],
  providers: [
    AccountDeletion,
    AccountExport,
    AccountJoin,
    Afterwards,
    Codes,
    Directory,
    HashingThread,
    OwnAccount,
    OwnerCheck,
    Passwords,
    People,
    Profile,
    RealmSignIn,
    RefreshTokens,
    RemoteData,
    Renewal,
    SignIn,
  ],
  exports: [RemoteData],
})
export class AccountsModule {}
