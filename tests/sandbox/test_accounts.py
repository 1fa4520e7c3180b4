from airflow_aluo.sandbox.accounts import Accounts, digest


def test_a_key_that_nobody_has_seen_opens_a_fresh_account() -> None:
    account = Accounts(plan="free", balance=99).find("sk-new")
    assert account is not None
    assert (account.plan, account.balance, account.price) == ("free", 99, 40)


def test_the_same_key_is_the_same_account() -> None:
    accounts = Accounts()
    assert accounts.find("sk-one") is accounts.find("sk-one")
    assert accounts.find("sk-one") is not accounts.find("sk-two")


def test_a_key_without_the_prefix_opens_nothing() -> None:
    assert Accounts().find("pk-new") is None


def test_when_strict_only_known_keys_open_anything() -> None:
    accounts = Accounts(strict=True)
    known = accounts.put("sk-known", plan="max", balance=70)
    assert accounts.find("sk-known") is known
    assert accounts.find("sk-new") is None


def test_a_deleted_key_is_worthless_at_once_and_can_be_opened_again() -> None:
    accounts = Accounts()
    accounts.put("sk-key", balance=1)
    accounts.delete("sk-key")
    assert accounts.find("sk-key") is None
    assert accounts.put("sk-key").balance == 1


def test_a_new_key_opens_the_same_account_and_the_old_one_is_worthless_at_once() -> None:
    accounts = Accounts()
    account = accounts.put("sk-old", plan="max", balance=7)
    assert accounts.rotate("sk-old", "sk-new") is account
    assert accounts.find("sk-new") is account
    assert accounts.find("sk-old") is None
    assert account.name == digest("sk-old")


def test_a_key_can_be_changed_again_and_back() -> None:
    accounts = Accounts()
    account = accounts.put("sk-a")
    for old, new in (("sk-a", "sk-b"), ("sk-b", "sk-a")):
        accounts.rotate(old, new)
    assert accounts.find("sk-a") is account
    assert accounts.find("sk-b") is None


def test_looking_whether_a_key_is_known_opens_nothing() -> None:
    accounts = Accounts()
    assert not accounts.knows("sk-a")
    accounts.find("sk-a")
    assert accounts.knows("sk-a")
    accounts.delete("sk-a")
    assert not accounts.knows("sk-a")


def test_an_accounts_name_does_not_give_its_key_away() -> None:
    account = Accounts().put("sk-secret")
    assert account.name == digest("sk-secret")
    assert "secret" not in account.name


def test_credits_set_aside_for_running_edits_cannot_be_spent_again() -> None:
    account = Accounts().put("sk-key", plan="pro", balance=70)
    assert account.can_pay()
    account.reserved = 35
    assert account.can_pay()
    account.reserved = 36
    assert not account.can_pay()


def test_the_plans_calls_fit_into_a_window_and_the_next_one_waits_for_the_first_to_leave_it() -> None:
    account = Accounts().put("sk-key", plan="free")
    assert [account.call(now, 60) for now in range(10)] == [0.0] * 10
    assert account.call(20, 60) == 40
    assert account.call(59.5, 60) == 0.5
    assert account.call(60, 60) == 0
    assert account.call(60.5, 60) == 0.5


def test_a_window_of_nothing_never_fills() -> None:
    account = Accounts().put("sk-key", plan="free")
    assert {account.call(5.0, 0) for _ in range(100)} == {0.0}
