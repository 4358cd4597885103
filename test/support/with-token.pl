# Runs a command in a user namespace of its own, with a BPF file system there that hands out tokens for everything:
#
#   perl with-token.pl FOLDER COMMAND …
#
# FOLDER is where the command finds it mounted. Linux 6.9. Who may delegate is root of the first user namespace, but whose file system
# it is must be in the other: so it is opened there, configured here, and mounted there. Perl, because every Debian has it.
#
# Source: Documentation/bpf of the kernel says nothing of it; kernel/bpf/inode.c and token.c of Linux 6.18.
use strict;
use warnings;

# <asm/unistd.h> (the same on all architectures since Linux 5.1), <linux/mount.h>, <fcntl.h>
use constant { PIDFD_OPEN => 434, PIDFD_GETFD => 438, FSOPEN => 430, FSCONFIG => 431, FSMOUNT => 432, MOVE_MOUNT => 429 };
use constant { FSCONFIG_SET_STRING => 1, FSCONFIG_CMD_CREATE => 6, MOVE_MOUNT_F_EMPTY_PATH => 4, AT_FDCWD => -100 };

# Fails with the call's name.
sub call {
    my ($name, @arguments) = @_;
    my $result = syscall(shift @arguments, @arguments);
    die "$name: $!\n" if $result < 0;
    return $result;
}

# In the namespace. $tell and $told are the numbers of its ends of two pipes.
sub inside {
    my ($tell, $told, $folder, @command) = @_;
    open(my $answers, '<&=', $told) or die "descriptor $told: $!\n";
    open(my $questions, '>&=', $tell) or die "descriptor $tell: $!\n";
    my $context = call('fsopen', FSOPEN, 'bpf', 0);
    syswrite($questions, "$context\n");
    readline($answers) // die "the other side gave up\n";
    my $mount = call('fsmount', FSMOUNT, $context, 0, 0);
    call('move_mount', MOVE_MOUNT, $mount, '', AT_FDCWD, $folder, MOVE_MOUNT_F_EMPTY_PATH);
    exec { $command[0] } @command or die "$command[0]: $!\n";
}

sub outside {
    $^F = 1 << 20;    # descriptors below it survive exec
    pipe(my $questions, my $tell) or die "pipe: $!\n";
    pipe(my $told, my $answers) or die "pipe: $!\n";
    my $child = fork() // die "fork: $!\n";
    if ($child == 0) {
        my @namespace = ('unshare', '--user', '--map-root-user', '--mount', '--propagation', 'private');
        exec(@namespace, $^X, $0, '--inside', fileno($tell), fileno($told), @ARGV);
        die "unshare: $!\n";
    }
    close($tell);
    my $number = readline($questions) // die "the namespace gave up\n";
    my $context = call('pidfd_getfd', PIDFD_GETFD, call('pidfd_open', PIDFD_OPEN, $child, 0), $number + 0, 0);
    for my $what (qw(cmds maps progs attachs)) {
        call("delegate_$what", FSCONFIG, $context, FSCONFIG_SET_STRING, "delegate_$what", 'any', 0);
    }
    call('FSCONFIG_CMD_CREATE', FSCONFIG, $context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    syswrite($answers, "go\n");
    waitpid($child, 0);
    exit($? >> 8);
}

$ARGV[0] eq '--inside' ? inside(@ARGV[1 .. $#ARGV]) : outside();
